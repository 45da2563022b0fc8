"""Whether the gradient of a node case is right: compared with central differences.

The gradient is compiled and run as the service does it, in the dtype of the case, and in float64
where onnxruntime has no kernel for the forward pass in that dtype. Differences are taken along
random directions and, where one of those meets a kink, a jump or an infinity, along single
elements, so that the smooth ones are still judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
import onnx_ir as ir

from portgrad.autodiff import gradient_graph
from portgrad.engine.sessions import Session
from portgrad.engine.weights import Weights
from portgrad.errors import PortgradError, Unsupported
from support.double import Arrays, runner
from support.node_cases import NodeCase, T, elem_types, in_dtypes_of, widened

ELEMENTS = 64  # of an operand that are looked at one by one
# Error of a gradient's element relative to the largest: roundings of 2^-24, 2^-11 and 2^-8 in
# sums of a few hundred products; differences in float64 err by less than 1e-8.
TOLERANCE = {"float64": 1e-6, "float32": 2e-5, "float16": 1e-2, "bfloat16": 1e-1}

AGREES, DISAGREES = "agrees", "disagrees"
UNJUDGED, UNSUPPORTED = "cannot be judged", "unsupported operand"


@dataclass(frozen=True)
class Verdict:
    """What came of a case: one of the four words above, and why."""

    outcome: str
    why: str = ""


@dataclass(frozen=True)
class Means:
    """How differences are taken.

    Attributes:
        double: in float64, else in float32.
        engine: of the forward pass, as for `support.double.runner`.
        step: how far each element moves.
        error: what a difference may err by, relative to the largest element.
        bend: how much the two sides may differ where the function counts as smooth: a kink so weak
            shifts the central difference by less than the tolerance.
        extrapolated: whether half the step is taken too, and the step's square cancelled by it
            (Richardson): what is left of the error is of fourth order.
        fresh: whether each evaluation has a session of its own, so that it draws the same numbers.
    """

    double: bool = True
    engine: str = "any"
    step: float = 1e-6
    error: float = 1e-8
    bend: float = 2e-5
    extrapolated: bool = False
    fresh: bool = False


# float32 rounds to 6e-8. Of what is linear, differences are exact at any step; else the fourth
# power of the step meets the rounding at some 3e-2.
_LINEAR = Means(double=False, step=1.0, error=2e-5, bend=1e-3)
_CURVED = Means(double=False, step=3e-2, error=8e-5, bend=0.3, extrapolated=True)
_MEANS = {
    "AveragePool": _LINEAR,  # no double kernel, and the reference takes seconds
    "LpPool": _CURVED,  # likewise
    "DequantizeLinear": _LINEAR,  # takes no float64
    "DynamicQuantizeLinear": _CURVED,  # likewise
    "MaxUnpool": _LINEAR,  # the reference reads indices by another size than onnxruntime
    "Resize": _LINEAR,  # the rule follows onnxruntime where that departs from the reference
    "MeanVarianceNormalization": _CURVED,  # no double kernel; its body adds a float32 constant
    "Shrink": Means(engine="reference"),  # the double kernel computes in float32
    "GroupNormalization": _CURVED,  # computes in float32 unless its attribute says otherwise
    "Dropout": Means(fresh=True),
}
# The region sets coordinates, where X is interpolated.
_BY_OPERAND = {("Resize", "roi"): _CURVED}


@dataclass(frozen=True)
class Forward:
    """The forward pass that differences are taken of.

    Attributes:
        run: from feeds to the outputs.
        feeds: the point.
        base: the outputs there.
        seeds: a cotangent for each output.
        means: how differences are taken.
    """

    run: Callable[[Arrays], list[np.ndarray]]
    feeds: Arrays
    base: Sequence[np.ndarray]
    seeds: Sequence[np.ndarray]
    means: Means

    def slope(self, name: str, v: np.ndarray, fraction: float = 1.0) -> float | None:
        """The derivative along a unit vector, None where there is none.

        Where one side has another shape, or is outside of the domain, the other one counts.
        """
        step = fraction * self.means.step * math.sqrt(np.count_nonzero(v))
        right, left = (self._change(name, s * v) / s for s in (step, -step))
        if math.isfinite(right) != math.isfinite(left):
            side = step if math.isfinite(right) else -step
            right, left = (self._change(name, s * v) / s for s in (side, side / 2.0))
        smooth = abs(right - left) <= self.means.bend * (1.0 + abs(right))
        if not (smooth and math.isfinite(right)):
            return None
        whole = (right + left) / 2.0
        if not self.means.extrapolated:
            return whole
        half = sum(self._change(name, s * v) / s for s in (step / 2.0, -step / 2.0)) / 2.0
        return (4.0 * half - whole) / 3.0

    def _change(self, name: str, by: np.ndarray) -> float:
        """What the seeds make of the change of the outputs."""
        x = self.feeds[name]
        moved = self.run({**self.feeds, name: np.asarray(x + by, x.dtype)})
        pairs = zip(self.seeds, moved, self.base, strict=True)
        return sum(_dot(seed, y, old) for seed, y, old in pairs)


def _dot(seed: np.ndarray, y: np.ndarray, old: np.ndarray) -> float:
    """<seed, y - old>, subtracted first against cancellation, without what has no seed."""
    if y.shape != old.shape:
        return math.nan
    here = seed != 0.0
    return float(np.vdot(seed[here], y[here].astype(np.float64) - old[here].astype(np.float64)))


def judge(case: NodeCase) -> Verdict:
    """The verdict on a case."""
    single = case.model()
    means, wide = _wide(case.op, single)
    # Some outputs stay float32 (LayerNormalization's statistics), too coarse for differences.
    kinds = elem_types(wide.graph.output)
    of = [n for n in case.outputs if kinds[n] == T.DOUBLE or not means.double]
    own = served(single)
    net = single if own else wide
    feeds, point = in_dtypes_of(net, case.feeds()), in_dtypes_of(wide, case.feeds())
    run = _evaluator(_only(wide, of), means)
    base = run(point)
    seeds = _seeds(base, [elem_types(net.graph.output)[n] for n in of])
    forward = Forward(run, point, base, [seed.astype(np.float64) for seed in seeds], means)
    feeds |= {f"seed/{n}": seed for n, seed in zip(of, seeds, strict=True)}
    verdicts = []
    for name in case.targets:
        try:
            found = _gradient(net, name, of, feeds, as_served=own)
        except Unsupported as error:
            verdicts.append(Verdict(UNSUPPORTED, f"{name}: {error.detail}"))
        else:
            operand = replace(forward, means=_BY_OPERAND.get((case.op, name), means))
            verdicts.append(_verdict(name, found, feeds[name], operand))
    return _of_all(verdicts)


def _wide(op: str, single: onnx.ModelProto) -> tuple[Means, onnx.ModelProto]:
    """How differences are taken of an operator, and the model that they are taken of."""
    means = _MEANS.get(op, Means())
    if means.double:
        double = widened(single)
        if T.DOUBLE in elem_types(double.graph.output).values():
            return means, double
        means = _CURVED  # the standard has no float64 form
    return means, widened(single, to=T.FLOAT)


def _of_all(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a case from those on its operands: the worst one."""
    for outcome in (DISAGREES, UNJUDGED, UNSUPPORTED):
        found = [verdict.why for verdict in verdicts if verdict.outcome == outcome]
        if found:
            return Verdict(outcome, "; ".join(found))
    return Verdict(AGREES)


def _verdict(name: str, gradient: np.ndarray, primal: np.ndarray, forward: Forward) -> Verdict:
    if (gradient.shape, gradient.dtype) != (primal.shape, primal.dtype):
        return Verdict(DISAGREES, f"{name}: {gradient.dtype}{gradient.shape} for {primal.dtype}")
    tolerance = TOLERANCE[gradient.dtype.name] + forward.means.error
    g = gradient.astype(np.float64)
    bound = tolerance * (0.1 + float(np.max(np.abs(g), initial=0.0, where=np.isfinite(g))))
    found = [_fits(name, g, v, bound, forward) for v in _directions(g.shape)]
    if None in found:
        found = [_fits(name, g, v, bound, forward) for v in _elements(g.shape)]
    if False in found:
        return Verdict(DISAGREES, f"{name}: at {found.index(False)} of {len(found)} tries")
    if found and True not in found:
        return Verdict(UNJUDGED, f"{name}: no smooth element")
    return Verdict(AGREES)


def _fits(name: str, g: np.ndarray, v: np.ndarray, bound: float, forward: Forward) -> bool | None:
    """Whether a gradient has the slope along v; None where there is none."""
    slope = forward.slope(name, v)
    if slope is None:
        return None
    error = abs(float(np.vdot(g[v != 0.0], v[v != 0.0])) - slope)
    if error <= bound:
        return True
    # A jump looks like a slope that grows as the step shrinks.
    again = forward.slope(name, v, fraction=0.25)
    return None if again is None or abs(again - slope) > bound + forward.means.bend else False


def _directions(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(3)
    for _ in range(2 if math.prod(shape) else 0):
        v = np.asarray(rng.standard_normal(shape))
        yield v / np.linalg.norm(v)


def _elements(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    size = math.prod(shape)
    order = np.random.default_rng(5).permutation(size)[:ELEMENTS]
    for index in sorted(order.tolist()):
        v = np.zeros(size)
        v[index] = 1.0
        yield v.reshape(shape)


def _seeds(base: Sequence[np.ndarray], kinds: Sequence[int]) -> list[np.ndarray]:
    """A random cotangent for each output, none small, 0 where it is infinite or no number."""
    rng = np.random.default_rng(7)
    signed = [rng.choice([-1.0, 1.0], y.shape) * rng.uniform(0.5, 1.5, y.shape) for y in base]
    drawn = [np.where(np.isfinite(y), x, 0.0) for x, y in zip(signed, base, strict=True)]
    return [x.astype(ir.DataType(kind).numpy()) for x, kind in zip(drawn, kinds, strict=True)]


def _gradient(
    net: onnx.ModelProto, name: str, of: Sequence[str], feeds: Arrays, *, as_served: bool
) -> np.ndarray:
    graph = gradient_graph(ir.from_proto(net), wrt=[name], of=of, seeds=of).model
    proto = ir.to_proto(graph)
    if all(v.type.tensor_type.HasField("shape") for v in (*proto.graph.input, *proto.graph.output)):
        onnx.checker.check_model(proto, full_check=True)
    if not as_served:
        return runner(proto)(feeds)[0]
    [found] = _session(graph).run(feeds)
    return np.asarray(found)


def _session(net: ir.Model) -> Session:
    try:
        return Session(net, Weights(net), threads=1)
    except Unsupported as error:  # a missing kernel is no missing rule
        raise AssertionError(str(error)) from error


def served(model: onnx.ModelProto) -> bool:
    """Whether onnxruntime has the kernels of a model. Of bfloat16 it has a handful, no Expand."""
    values = (*model.graph.input, *model.graph.output)
    if T.BFLOAT16 in elem_types(values).values():
        return False
    net = ir.from_proto(model)
    try:
        Session(net, Weights(net), threads=1)
    except PortgradError:
        return False
    return True


def _evaluator(model: onnx.ModelProto, means: Means) -> Callable[[Arrays], list[np.ndarray]]:
    def run_afresh(feeds: Arrays) -> list[np.ndarray]:
        return runner(model, engine=means.engine)(feeds)

    return run_afresh if means.fresh else runner(model, engine=means.engine)


def _only(model: onnx.ModelProto, of: Sequence[str]) -> onnx.ModelProto:
    """The model with some outputs alone."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    known = {v.name: v for v in model.graph.output}
    del cut.graph.output[:]
    cut.graph.output.extend(known[name] for name in of)
    return cut
