"""Train a classifier of handwritten digits with a service for the mathematics.

The net is uploaded once. Each step is one call: it sends weights in place of the net's own, and
gets the losses of all examples and the mean gradient from one forward pass. SciPy's L-BFGS decides
where to go next. The digits are scikit-learn's, 1797 images of 8 by 8 pixels.

    pip install scikit-learn                      # brings SciPy
    python examples/train_by_service.py --url http://127.0.0.1:8000
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import numpy_helper
from scipy.optimize import OptimizeResult, minimize
from sklearn.datasets import load_digits

from portgrad_client import Client, Net

Weights = Mapping[str, np.ndarray]

NET = """<ir_version: 10, opset_import: ["": 21]>
digits (float[N, 64] image, int64[N] label) => (float[N, 10] logits, float[N] loss) {
    h = Gemm(image, w1, b1)
    a = Tanh(h)
    logits = Gemm(a, w2, b2)
    loss = SoftmaxCrossEntropyLoss <reduction = "none"> (logits, label)
}"""
SHAPES = {"w1": (64, 32), "b1": (32,), "w2": (32, 10), "b2": (10,)}


def random_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights to start from; biases of zero."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.standard_normal(shape) / np.sqrt(shape[0]) * (len(shape) > 1)).astype(np.float32)
        for name, shape in SHAPES.items()
    }


def classifier(weights: Weights) -> bytes:
    """The net: a hidden layer, and the loss of each example."""
    model = onnx.parser.parse_model(NET)
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    return model.SerializeToString()


def digits(seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Two thirds of the digits to learn from, and the others to test on."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    images = (images[order] / 16.0).astype(np.float32)
    labels = labels[order].astype(np.int64)
    cut = len(images) * 2 // 3
    return (
        {"image": images[:cut], "label": labels[:cut]},
        {"image": images[cut:], "label": labels[cut:]},
    )


def unpacked(vector: np.ndarray) -> dict[str, np.ndarray]:
    """SciPy's one vector as the weights by name."""
    ends = np.cumsum([np.prod(shape) for shape in SHAPES.values()])
    parts = np.split(vector, ends[:-1])
    return {name: part.reshape(SHAPES[name]) for name, part in zip(SHAPES, parts, strict=True)}


def packed(weights: Weights) -> np.ndarray:
    """Weights, or their gradients, as one vector."""
    return np.concatenate([np.ravel(weights[name]) for name in SHAPES]).astype(np.float64)


def train(
    net: Net, data: Weights, start: Weights, steps: int, tell: Callable[[int, float], object]
) -> dict[str, np.ndarray]:
    """Weights after steps of L-BFGS; `tell` hears of each step and of the loss there."""

    def value_and_gradient(vector: np.ndarray) -> tuple[float, np.ndarray]:
        outputs, gradients = net.value_and_gradient(
            data,
            wrt="parameters",
            of="loss",
            outputs=["loss"],
            parameters=unpacked(vector),
            reduction="mean",
        )
        return float(outputs["loss"].mean()), packed(gradients)

    step = iter(range(1, steps + 1))

    def told(intermediate_result: OptimizeResult) -> None:
        tell(next(step), intermediate_result.fun)

    options = {"maxiter": steps}
    found = minimize(
        value_and_gradient,
        packed(start),
        jac=True,
        method="L-BFGS-B",
        callback=told,
        options=options,
    )
    return unpacked(found.x)


def accuracy(net: Net, data: Weights, weights: Weights) -> float:
    """The share of examples whose greatest logit is that of their digit."""
    logits = net.evaluate(data, outputs=["logits"], parameters=weights)["logits"]
    return float(np.mean(logits.argmax(axis=1) == data["label"]))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train a classifier of digits by a service.")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="a Portgrad service")
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args(arguments)
    learnt_from, tested_on = digits()
    print(f"{len(learnt_from['label'])} digits to learn from, {len(tested_on['label'])} to test on")
    with Client(given.url) as client:
        start = random_weights()
        net = client.upload(classifier(start))
        weights = train(
            net,
            learnt_from,
            start,
            given.steps,
            tell=lambda step, loss: print(f"step {step:3}  loss {loss:.5f}"),
        )
        print(f"{accuracy(net, learnt_from, weights):.1%} of the first are right")
        print(f"{accuracy(net, tested_on, weights):.1%} of the others are right")


if __name__ == "__main__":
    main()
