"""What each derivative costs, in forward passes of the same net on the same data.

    python benchmarks/derivatives.py [--net mlp|resnet50] [--batch N] [--rounds 5] [--threads 2]

In each round every call runs once, the forward pass before each of them, so that a busy machine
slows both alike; what is printed is the median of the ratios and their quartiles. The first call of
each, which compiles, is told by itself.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from nets import NETS

import portgrad

Calls = dict[str, Callable[[], object]]
SHAPES = {"mlp": (784,), "resnet50": (3, 224, 224)}
BATCHES = {"mlp": 64, "resnet50": 4}
CLASSES = {"mlp": 10, "resnet50": 1000}


def calls(net: portgrad.Net, name: str, batch: int) -> Calls:
    draw = np.random.default_rng(0).standard_normal
    x, t = (draw((batch, *SHAPES[name])).astype(np.float32) for _ in range(2))
    output = next(iter(net.names.outputs))
    ten = np.zeros((10, batch, CLASSES[name]), np.float32)
    ten[np.arange(10), :, np.arange(10)] = 1
    several: dict[str, object] = {"output_gradients": {output: ten}, "stacked": True}
    found: Calls = {
        "gradient, inputs": lambda: net.gradient(x),
        "gradient, all": lambda: net.gradient(x, wrt="all"),
        "value and gradient, all": lambda: net.value_and_gradient(x, wrt="all"),
        "jvp, input": lambda: net.jvp(x, tangents={"input": t}),
        "hvp, input": lambda: net.hvp(x, tangents={"input": t}),
        "10 cotangents, inputs": lambda: net.gradient(x, **several),
    }
    if CLASSES[name] == 10:
        found["jacobian of 10 outputs"] = lambda: net.jacobian(x)
    else:
        index = {output: {"index": list(range(10))}}
        found["jacobian of 10 outputs (class seeds)"] = lambda: net.gradient(
            x, output_gradients=index, stacked=True
        )
    parameters: dict[str, object] = {"wrt": "parameters"}
    found["gradient, parameters"] = lambda: net.gradient(x, **parameters)
    if name == "mlp":
        found["by example"] = lambda: net.gradient(x, reduction="per_example", **parameters)
        found["one call for each example"] = lambda: [
            net.gradient(x[i : i + 1], **parameters) for i in range(batch)
        ]
    return found


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=NETS, default="mlp")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    batch = given.batch or BATCHES[given.net]
    net = portgrad.load(NETS[given.net](), threads=given.threads)
    timed = calls(net, given.net, batch)
    x = np.random.default_rng(0).standard_normal((batch, *SHAPES[given.net])).astype(np.float32)

    def forward() -> object:
        return net.evaluate(x)

    forward()
    first = {name: seconds(call) for name, call in timed.items()}
    ratios: dict[str, list[float]] = {name: [] for name in timed}
    passes = []
    for _ in range(given.rounds):
        for name, call in timed.items():
            passes.append(min(seconds(forward) for _ in range(2)))
            ratios[name].append(seconds(call) / passes[-1])
    print(f"{given.net}, batch {batch}, {given.threads} threads: a forward pass takes "
          f"{1000 * float(np.median(passes)):.1f} ms")  # fmt: skip
    print(f"{'':38}{'median':>8}{'quartiles':>18}{'first call, s':>16}")
    for name, found in ratios.items():
        low, middle, high = np.percentile(found, [25, 50, 75])
        print(f"{name:38}{middle:8.2f}{f'{low:.2f} to {high:.2f}':>18}{first[name]:16.2f}")


if __name__ == "__main__":
    main()
