"""Nets that other people made, against central differences in float64.

The forward pass in float64 is an independent one: onnx's reference evaluator on the original file
with every float made a double and every parameter an input. Figures of all nets:
`PORTGRAD_REAL_NETS=FOLDER PYTHONPATH=tests python -m support.real_nets`.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from portgrad_client import Client, Net
from support.computing import computing
from support.double import in_double
from support.http import serving
from support.sdk import ADDRESS, pool

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]

VARIABLE = "PORTGRAD_REAL_NETS"
ABSENT = f"{VARIABLE} names no folder with the nets of other people"

# Rounding of float64 is 1e-16 / STEP of a total of order one; the nets are piecewise linear but
# for the transformer's softmax, whose third derivatives weigh STEP².
STEP = 1e-6
# Differences from both sides that disagree by more, relative to them, have a kink between them;
# curvature alone makes them disagree by about STEP.
KINK = 1e-4
# float32 in a kernel's own order could put a unit on the other side of 0 within this.
MARGIN = 1e-5
NOISE = 1e-8  # some dozens of roundings of float64 over STEP, relative to the total
DIRECTIONS = 2


@dataclass(frozen=True)
class Real:
    """A net: its file, the operator whose result is asked for, and the range of its inputs."""

    file: str
    inner: str
    low: float = 0.0
    high: float = 1.0


REAL_NETS = (
    Real("acasxu_1_1.onnx", "Add", -0.5, 0.5),
    Real("acasxu_2_1.onnx", "Add", -0.5, 0.5),
    Real("Convnet_maxpool.onnx", "MaxPool"),
    Real("mnist-net_256x4.onnx", "Gemm"),
    Real("resnet_2b.onnx", "Add"),
    Real("vit_ibp.onnx", "Softmax"),
)


def folder() -> Path | None:
    """Where the nets are, or None."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given and Path(given).is_dir() else None


@contextmanager
def service() -> Iterator[Client]:
    """The real application, engine and store, through the SDK."""
    with tempfile.TemporaryDirectory() as data:
        settings = Settings(data=Path(data))
        app = create_app(LocalStore(Path(data)), computing(), settings)
        with serving(app) as served:
            yield Client(ADDRESS, http_client=pool(served))


class BatchNormalization(OpRun):
    """By running statistics: the evaluator's own version 9 mixes in those of the batch."""

    op_domain = ""

    def _run(self, x, *statistics, epsilon=None, **_others):  # type: ignore[no-untyped-def]
        shape = (-1, *[1] * (x.ndim - 2))
        scale, bias, mean, var = (v.reshape(shape) for v in statistics)
        return (scale * (x - mean) / np.sqrt(var + epsilon) + bias,)


class Reference:
    """A file's forward pass in float64, with parameters and any value inside as inputs."""

    def __init__(self, path: Path) -> None:
        self.model = in_double(onnx.load(path))
        graph = self.model.graph
        self.parameters = {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in graph.initializer
            if tensor.data_type == TensorProto.DOUBLE
        }
        held = {tensor.name for tensor in graph.initializer}
        [self.port] = [value for value in graph.input if value.name not in held]
        kept = [t for t in graph.initializer if t.name not in self.parameters]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        others = [v for v in graph.input if v.name not in held]
        del graph.input[:]
        graph.input.extend(others)
        graph.input.extend(_anything(name) for name in self.parameters)
        [self.output] = [value.name for value in graph.output]
        self.kinks = [node.input[0] for node in graph.node if node.op_type == "Relu"]
        self._evaluators: dict[tuple[str | None, tuple[str, ...]], ReferenceEvaluator] = {}

    def run(
        self, x: Array, given: Arrays, outputs: tuple[str, ...], cut: str | None
    ) -> list[Array]:
        """Some values at an input, parameters, and maybe a value inside in place of its own."""
        key = (cut, outputs)
        if key not in self._evaluators:
            self._evaluators[key] = ReferenceEvaluator(
                _cut(self.model, cut, outputs), new_ops=[BatchNormalization]
            )
        feeds = {**self.parameters, **given, self.port.name: x}
        evaluator = self._evaluators[key]
        feeds = {name: feeds[name] for name in evaluator.input_names}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [np.asarray(found) for found in evaluator.run(None, feeds)]


def _anything(name: str) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, TensorProto.DOUBLE, None)


def _cut(model: onnx.ModelProto, cut: str | None, outputs: tuple[str, ...]) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(_anything(name) for name in outputs)
    if cut is not None:
        copy.graph.input.append(_anything(cut))
        for node in copy.graph.node:
            node.output[:] = [f"{name}/own" if name == cut else name for name in node.output]
    return copy


def inner_value(real: Real, reference: Reference) -> str:
    """The output of the operator's node half-way through the net."""
    found = [n.output[0] for n in reference.model.graph.node if n.op_type == real.inner]
    return found[(len(found) - 1) // 2]


@dataclass(frozen=True)
class Point:
    """Where gradients are compared: examples, their seeds, and how the forward pass takes them."""

    x: Array
    seed: Array
    together: bool

    def examples(self) -> list[Array]:
        """What each run of the reference takes."""
        return [self.x] if self.together else [self.x[i : i + 1] for i in range(len(self.x))]

    def seeds(self) -> list[Array]:
        """The cotangents of each run."""
        return [self.seed] if self.together else [self.seed[i : i + 1] for i in range(len(self.x))]


def smooth_point(real: Real, reference: Reference, count: int) -> Point:
    """Random examples at which no unit of the net is close to a kink, with random cotangents.

    The plain sum is a bad judge: training makes the logits of some nets sum to nearly nothing,
    so that its gradient is what rounding leaves.
    """
    dims = reference.port.type.tensor_type.shape.dim
    together = not dims[0].dim_value
    rng = np.random.default_rng(count)
    examples: list[Array] = []
    while len(examples) < count:
        x = rng.uniform(real.low, real.high, (1, *(d.dim_value for d in dims[1:])))
        x = x.astype(np.float32).astype(np.float64)
        before = reference.run(x, {}, tuple(reference.kinks), None)
        if all(np.abs(values[values != 0]).min(initial=1.0) > MARGIN for values in before):
            examples.append(x)
    joined = np.concatenate(examples)
    [output] = reference.run(examples[0], {}, (reference.output,), None)
    seed = rng.standard_normal((count, *output.shape[1:])).astype(np.float32)
    return Point(joined, seed.astype(np.float64), together)


def gradients(net: Net, reference: Reference, point: Point, inner: str) -> tuple[Arrays, Arrays]:
    """By input, all parameters and one value inside; and that value. Through the service."""
    seeds = {reference.output: point.seed.astype(np.float32)}
    data = point.x.astype(np.float32)
    found = net.gradient(data, wrt="all", output_gradients=seeds)
    within = net.gradient(data, wrt=[inner], output_gradients=seeds, outputs=[inner])
    asked = {reference.port.name, *reference.parameters, inner}
    assert {*found, *within} | {str(entry["name"]) for entry in found.none} == asked
    return {**found, **within}, dict(within.outputs)


def disagreements(
    reference: Reference, point: Point, found: Arrays, inner: str
) -> dict[str, float]:
    """|<g, v> - difference| / |g| for each target, the worst of a few normal directions v.

    Where g is 0 by cancellation, as at the bias of attention's keys, it is rounding of what
    cancels: |g| counts as a thousandth of the largest one at least.
    """
    rng = np.random.default_rng(99)
    exact = {name: gradient.astype(np.float64) for name, gradient in found.items()}
    least = 1e-3 * max(float(np.linalg.norm(g)) for g in exact.values())

    def worst(name: str, g: Array) -> float:
        scale = max(float(np.linalg.norm(g)), least)
        target = (name, g, scale)
        errors = (_error(reference, point, target, inner, rng) for _ in range(DIRECTIONS))
        return max(errors) / scale

    return {name: worst(name, g) for name, g in exact.items()}


def _error(
    reference: Reference, point: Point, target: tuple[str, Array, float], inner: str, rng: Any
) -> float:
    """|<g, v> - difference| along a random v that meets no kink."""
    name, g, scale = target
    base = _total(reference, point, name, np.zeros(g.shape), inner)
    for _ in range(20):
        v = rng.standard_normal(g.shape)
        ahead = (_total(reference, point, name, STEP * v, inner) - base) / STEP
        behind = (base - _total(reference, point, name, -STEP * v, inner)) / STEP
        if abs(ahead - behind) <= KINK * scale + NOISE * (1 + abs(base)):
            return abs(float(np.vdot(g, v)) - (ahead + behind) / 2)
    raise AssertionError(f"no smooth direction of {name} was found")


def _total(reference: Reference, point: Point, name: str, move: Array, inner: str) -> float:
    total = 0.0
    for index, (x, seed) in enumerate(zip(point.examples(), point.seeds(), strict=True)):
        own = move if point.together or name in reference.parameters else move[index : index + 1]
        given: Arrays = {}
        if name in reference.parameters:
            given[name] = reference.parameters[name] + own
        elif name == inner:
            given[inner] = reference.run(x, {}, (inner,), None)[0] + own
        else:
            x = x + own  # noqa: PLW2901
        [y] = reference.run(x, given, (reference.output,), inner if name == inner else None)
        total += float(np.sum(seed * y))
    return total


def compared(client: Client, path: Path, real: Real, count: int) -> dict[str, float]:
    """The disagreement of each target of a net at some random examples."""
    reference = Reference(path)
    inner = inner_value(real, reference)
    point = smooth_point(real, reference, count)
    net = client.upload(path)
    outputs = [reference.run(x, {}, (reference.output,), None)[0] for x in point.examples()]
    served = net.evaluate(point.x.astype(np.float32))[reference.output]
    np.testing.assert_allclose(served, np.concatenate(outputs), rtol=1e-4, atol=1e-4)
    found, _ = gradients(net, reference, point, inner)
    return disagreements(reference, point, found, inner)


def _figures(report: Callable[[str], None] = print) -> None:
    where = folder()
    if where is None:
        report(ABSENT)
        return
    with service() as client:
        for real in REAL_NETS:
            for count in (1, 3):
                worst = compared(client, where / real.file, real, count)
                name = max(worst, key=worst.__getitem__)
                report(f"{real.file:22} {count} {len(worst):3} targets  {worst[name]:.1e}  {name}")


if __name__ == "__main__":
    _figures()
