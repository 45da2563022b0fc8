"""Whether the gradient of a random net agrees with central differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from portgrad.autodiff import gradient_graph
from portgrad.graph import walk
from support.double import runner
from support.random_nets.calls import typed
from support.random_nets.net import Net
from support.random_nets.steps import Called, steps_inside


@dataclass(frozen=True)
class Means:
    """How differences are taken.

    Attributes:
        step: how far each element moves, about.
        error: what a gradient may err by, relative to its size times the direction's.
        bend: how much the differences with the step and with half of it may differ where the net
            counts as smooth. What a kink that weak shifts is below `error`.
    """

    step: float
    error: float
    bend: float


# The extrapolated difference errs by the fourth power of the step and by 1e-16 over the step.
_FINE = Means(step=1e-4, error=1e-6, bend=3e-7)
# The gradient is in float32: a few hundred roundings of 6e-8, amplified where nets are steep.
_ROUNDED = Means(step=1e-4, error=2e-3, bend=3e-4)
# The forward pass, too, is in float32 at some step: 6e-8 over the step.
_COARSE = Means(step=2e-2, error=2e-2, bend=4e-3)


def judge(net: Net) -> dict[str, bool]:
    """For each target whether it was judged: where a kink or a jump is too near, it is not.

    Raises AssertionError where a gradient is wrong.
    """
    point = Point(net, net.run())
    means, judged = _means(net), {}
    rng = np.random.default_rng(11)
    for name, gradient in zip(net.wrt, point.gradients(), strict=True):
        v = np.asarray(rng.standard_normal(gradient.shape))
        scale = point.floor + float(np.linalg.norm(gradient.astype(np.float64)) * np.linalg.norm(v))
        found = point.slope(name, v, means, scale)
        judged[name] = found is not None
        if found is not None:
            exact = float(np.vdot(gradient.astype(np.float64), v))
            assert abs(exact - found) <= means.error * scale, (name, exact, found, scale)
    return judged


def _means(net: Net) -> Means:
    if net.kind.dtype is np.float64:
        return _FINE
    calls = [step for step in steps_inside(net.steps) if isinstance(step, Called)]
    return _ROUNDED if all(step.call.exact for step in calls) else _COARSE


class Point:
    """A net at its point.

    Args:
        net: the net.
        outputs: what is summed, there.
    """

    def __init__(self, net: Net, outputs: Sequence[np.ndarray]) -> None:
        rng = np.random.default_rng(7)
        self._net, self._outputs = net, outputs
        self._seeds = [
            np.asarray(rng.standard_normal(y.shape)) if name in net.seeds else np.ones_like(y)
            for name, y in zip(net.of, outputs, strict=True)
        ]

    @property
    def floor(self) -> float:
        """A gradient's size below which the rounding of the outputs counts."""
        return 1e-3 * (1.0 + max(float(np.max(np.abs(y), initial=0.0)) for y in self._outputs))

    def gradients(self) -> list[np.ndarray]:
        """The gradients by the targets."""
        net = self._net
        model = gradient_graph(net.model(), wrt=net.wrt, of=net.of, seeds=net.seeds).model
        graph = ir.to_proto(model)
        for node in walk.all_nodes(graph):
            node.ClearField(
                "name"
            )  # onnxruntime wants them to be unique, as the service makes them
        given = zip(net.of, self._seeds, strict=True)
        feeds = {**net.ports, **{f"seed/{n}": x for n, x in given if n in net.seeds}}
        return runner(graph, engine=net.kind.engine)(typed(graph, feeds))

    def slope(self, name: str, v: np.ndarray, means: Means, scale: float) -> float | None:
        """The derivative along v by a target, None where there is none nearby."""
        h = means.step
        right, left, near_right, near_left = (
            self._change(name, step * v) for step in (h, -h, h / 2.0, -h / 2.0)
        )
        far, near = (right - left) / (2.0 * h), (near_right - near_left) / h
        # What the slope changes by at the point itself: the second derivative's part halves with h.
        jump = 2.0 * (near_right + near_left) / (h / 2.0) - (right + left) / h
        smooth = abs(far - near) <= means.bend * scale and abs(jump) <= means.error * scale
        return (4.0 * near - far) / 3.0 if smooth else None

    def _change(self, name: str, by: np.ndarray) -> float:
        """What the seeds make of the change of the outputs, NaN where a size changes."""
        try:
            moved = self._net.run(name, by)
        except (IndexError, ValueError, RuntimeError):  # it does not fit what it is used for
            return math.nan
        pairs = zip(self._seeds, moved, self._outputs, strict=True)
        return sum(
            float(np.vdot(s, y - b)) if y.shape == b.shape else math.nan for s, y, b in pairs
        )
