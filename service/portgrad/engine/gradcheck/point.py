"""A net at the user's data: its gradient there, and its outputs where one target is moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from portgrad.autodiff import MOVE, SEED
from portgrad.engine.arrays import Array, Value
from portgrad.engine.execution import Execution
from portgrad.engine.gradcheck.lines import Subject, flat
from portgrad.engine.gradcheck.slopes import Values
from portgrad.engine.plan import Plan
from portgrad.engine.variants import Setting

EPS = {
    ir.DataType.DOUBLE: 2.0**-52,
    ir.DataType.FLOAT: 2.0**-23,
    ir.DataType.FLOAT16: 2.0**-10,
    ir.DataType.BFLOAT16: 2.0**-7,
}


@dataclass(frozen=True)
class Asked:
    """A plan at a caller's data.

    Attributes:
        setting: the variant of the net.
        plan: what is differentiated.
        data: an array for each input port, and what else the variant reads.
        imposed: the imposed cotangents by feed.
    """

    setting: Setting
    plan: Plan
    data: Mapping[str, Value]
    imposed: Mapping[str, Array]

    def run(
        self, plan: Plan | None = None, imposed: Mapping[str, Array] | None = None
    ) -> Execution:
        """Run the plan, or another one."""
        return self.setting.view.executor.execute(
            plan or self.plan,
            self.data,
            self.imposed if imposed is None else imposed,
            self.setting.batch,
        )


class Point:
    """A net at the user's data, with its gradients there.

    Attributes:
        setting: the variant of the net.
        plan: what is differentiated.
        call: the run of the gradients, `gradients` by target, and its `warnings`.
        eps: the relative rounding of what the net computes.
        timings: seconds by stage, of all runs.
        evaluations: how often the outputs were computed.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked, self.setting, self.plan = asked, asked.setting, asked.plan
        self.timings = {"compile": 0.0, "run": 0.0}
        self.evaluations = 0
        self.eps = rounding(self.setting)
        inner = [name for name in self.plan.wrt if self._held(name) is None]
        self.call = self._run(replace(self.plan, outputs=tuple(inner)), asked.imposed)
        self.warnings, self.gradients = self.call.warnings, self.call.results.derivatives
        self._inner = self.call.results.outputs
        self._still = {MOVE + n: np.zeros((), self.gradients[n].dtype) for n in self.plan.wrt}
        self._moved = Plan(kind="moved", tangents=self.plan.wrt, outputs=self.plan.of)
        outputs = self._outputs(self._still)
        self._middle = [flat(array) for array in outputs.values()]
        self._weights = [self._weight(name, array.shape) for name, array in outputs.items()]

    def subject(self, target: str) -> Subject:
        """The outputs as a function of one target."""
        return Subject(
            self.gradients[target],
            self._weights,
            lambda move: self._values(target, move),
            self._middle,
            self.eps,
        )

    def value(self, target: str) -> Array:
        """The value of a target."""
        held = self._held(target)
        return self._inner[target] if held is None else held

    def _values(self, target: str, move: Array) -> Values:
        moved = {**self._still, MOVE + target: np.asarray(move, self.gradients[target].dtype)}
        return [flat(array) for array in self._outputs(moved).values()]

    def _outputs(self, moves: Mapping[str, Array]) -> Mapping[str, Array]:
        self.evaluations += 1
        return self._run(self._moved, moves).results.outputs

    def _run(self, plan: Plan, imposed: Mapping[str, Array]) -> Execution:
        done = self._asked.run(plan, imposed)
        for stage, seconds in done.timings.items():
            self.timings[stage] += seconds
        return done

    def _held(self, name: str) -> Array | None:
        """The value of a port or parameter, None for an inner value."""
        if name in self._asked.data:
            return np.asarray(self._asked.data[name])
        parameter = self.setting.view.names.parameters.get(name)
        held = None if parameter is None else parameter.const_value
        return None if held is None else held.numpy()

    def _weight(self, name: str, shape: tuple[int, ...]) -> Array:
        seed = self._asked.imposed.get(SEED + name)
        return flat(np.ones(shape) if seed is None else np.broadcast_to(seed, shape))


def rounding(setting: Setting) -> float:
    """The relative rounding of what a net computes: that of its coarsest floats."""
    if setting.view.double:
        return EPS[ir.DataType.DOUBLE]
    graph = setting.view.executor.model.graph
    values = (*graph.inputs, *(value for node in graph for value in node.outputs))
    return max(EPS[dtype] for value in values if (dtype := value.dtype) in EPS)
