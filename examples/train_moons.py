"""Train the sample net `moons`: two interleaved half circles, told apart by a small MLP.

The loss is an ONNX net whose weights are input ports; Portgrad gives its gradient, plain gradient
descent with momentum does the rest. Writes the trained classifier, weights inside.

    python examples/train_moons.py moons.onnx
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import portgrad

HEADER = '<ir_version: 10, opset_import: ["": 21]>'
BODY = """
    h1 = Gemm(point, w1, b1)
    a1 = Tanh(h1)
    h2 = Gemm(a1, w2, b2)
    a2 = Tanh(h2)
    logits = Gemm(a2, w3, b3)
"""
TRAINING = f"""{HEADER} training (float[batch, 2] point, int64[batch] label,
    float[2, 16] w1, float[16] b1, float[16, 16] w2, float[16] b2, float[16, 2] w3, float[2] b3)
    => (float loss) {{ {BODY} loss = SoftmaxCrossEntropyLoss(logits, label) }}"""
CLASSIFIER = f"{HEADER} moons (float[batch, 2] point) => (float[batch, 2] logits) {{ {BODY} }}"


def moons(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points on two half circles with some noise, and which half each is from."""
    angle = rng.uniform(0.0, np.pi, count)
    label = rng.integers(0, 2, count)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    points = np.where(label[:, None] == 0, upper, lower) + rng.normal(0.0, 0.1, (count, 2))
    return points.astype(np.float32), label.astype(np.int64)


def train(steps: int = 600, rate: float = 0.1, momentum: float = 0.9) -> dict[str, np.ndarray]:
    """Weights after gradient descent on 512 points."""
    rng = np.random.default_rng(0)
    points, labels = moons(512, rng)
    shapes = {"w1": (2, 16), "b1": (16,), "w2": (16, 16), "b2": (16,), "w3": (16, 2), "b3": (2,)}
    weights = {
        name: (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
        for name, shape in shapes.items()
    }
    velocity = {name: np.zeros_like(w) for name, w in weights.items()}
    net = portgrad.load(onnx.parser.parse_model(TRAINING).SerializeToString())
    for _ in range(steps):
        data = {"point": points, "label": labels, **weights}
        gradient = net.gradient(data, wrt=list(weights))
        for name, ct in gradient.items():
            velocity[name] = momentum * velocity[name] - rate * ct
            weights[name] = weights[name] + velocity[name]
    return weights


def classifier(weights: dict[str, np.ndarray]) -> bytes:
    """The trained net, weights inside."""
    model = onnx.parser.parse_model(CLASSIFIER)
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    model.producer_name = "portgrad"
    return model.SerializeToString(deterministic=True)


if __name__ == "__main__":
    net_bytes = classifier(train())
    test_points, test_labels = moons(1000, np.random.default_rng(1))
    logits = portgrad.load(net_bytes).evaluate(test_points)["logits"]
    accuracy = float(np.mean(logits.argmax(axis=1) == test_labels))
    Path(sys.argv[1]).write_bytes(net_bytes)
    print(f"{accuracy:.1%} of 1000 new points are right; written to {sys.argv[1]}")
