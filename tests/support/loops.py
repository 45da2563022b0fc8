"""Loop and Scan for the reference evaluator.

Its own Loop runs not once where the condition is left out, and joins slices instead of stacking
them; its own Scan goes in one direction only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference.ops import op_loop, op_scan

Array = np.ndarray


class Loop(op_loop.Loop):
    """As the specification has it, but for slices of no iteration."""

    op_domain = ""

    def _run(self, m, cond, *states, context=None, body=None, attributes=None, bindings=None):  # type: ignore[no-untyped-def]
        number, going, *names = self.body.input_names
        count, step, written = len(states), 0, []
        proceed = cond is None or bool(cond)
        while proceed and (m is None or step < m):
            inputs = {**(context or {}), number: np.array(step), going: np.array(proceed)}
            inputs |= dict(zip(names, states, strict=True))
            condition, *outputs = self._run_body(inputs, attributes=attributes, bindings=bindings)
            proceed, states = bool(condition), outputs[:count]
            written.append(outputs[count:])
            step += 1
        return (*states, *(np.stack(slices) for slices in zip(*written, strict=True)))


class Scan(op_scan.Scan):
    """The reference's own goes in one direction only."""

    op_domain = ""

    def __init__(self, onnx_node: onnx.NodeProto, run_params: Any) -> None:
        plain = onnx.NodeProto()
        plain.CopyFrom(onnx_node)
        found = {a.name: list(a.ints) for a in plain.attribute if a.name.endswith("_directions")}
        for attribute in [a for a in plain.attribute if a.name in found]:
            plain.attribute.remove(attribute)
        self._ways = found
        super().__init__(plain, run_params)

    def _run(self, *args: Any, **given: Any) -> tuple[Array, ...]:
        states = len(args) - self.num_scan_inputs
        read = self._turned("input", args[states:])
        results = super()._run(*args[:states], *read, **given)
        return (*results[:states], *self._turned("output", results[states:]))

    def _turned(self, side: str, arrays: Sequence[Array]) -> list[Array]:
        ways = self._ways.get(f"scan_{side}_directions", [0] * len(arrays))
        return [x[::-1].copy() if way else x for x, way in zip(arrays, ways, strict=True)]
