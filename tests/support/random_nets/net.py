"""A random net: its steps, its point, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.double import Arrays
from support.random_nets.calls import Kind
from support.random_nets.steps import Called, Step, port_like, steps_inside


@dataclass
class Net:
    """A net, its point, its targets and outputs.

    Attributes:
        kind: what it is computed in.
        opset: of the default domain.
        ports: input ports with the point.
        weights: initializers.
        symbolic: ports whose sizes have names.
        steps: what it does.
        wrt: names of the targets.
        of: names of what is summed.
        seeds: those of `of` whose cotangent is imposed.
    """

    kind: Kind
    opset: int
    ports: Arrays = field(default_factory=dict)
    weights: Arrays = field(default_factory=dict)
    symbolic: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    wrt: list[str] = field(default_factory=list)
    of: list[str] = field(default_factory=list)
    seeds: list[str] = field(default_factory=list)

    def run(self, moved: str = "", by: np.ndarray | float = 0.0) -> list[np.ndarray]:
        """What is summed, with one value moved, and all that is computed from it."""
        env = {**self.ports, **self.weights}
        if moved in env:
            env[moved] = env[moved] + by
        for step in self.steps:
            found = step.run(env)
            if moved in found:
                found[moved] = found[moved] + by
            env |= found
        return [env[name] for name in self.of]

    def model(self) -> ir.Model:
        """The net, normalised as an upload is."""
        return load(NetFiles(self._written().SerializeToString()))

    def _written(self) -> onnx.ModelProto:
        nodes = [node for step in self.steps for node in step.nodes()]
        ports = [
            port_like(n, x, self.kind.dtype, symbolic=n in self.symbolic)
            for n, x in self.ports.items()
        ]
        weights = [
            numpy_helper.from_array(self._typed(x), name) for name, x in self.weights.items()
        ]
        elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(self.kind.dtype))
        outputs = [helper.make_tensor_value_info(n, elem_type, None) for n in self.of[-1:]]
        graph = helper.make_graph(nodes, "random", ports, outputs, weights)
        calls = (step.call for step in steps_inside(self.steps) if isinstance(step, Called))
        imports = {i.domain: i.version for call in calls for i in call.imports}
        opsets = [helper.make_opsetid(*item) for item in {**imports, "": self.opset}.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def _typed(self, array: np.ndarray) -> np.ndarray:
        return array.astype(self.kind.dtype) if array.dtype == np.float64 else array

    def operators(self) -> set[str]:
        """The operators that the net was written with, those of its subgraphs among them."""
        return {op for step in steps_inside(self.steps) for op in step.operators}

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints of a net that fails."""
        asked = f"wrt {self.wrt} of {self.of}, seeds for {self.seeds}, {self.kind.name}"
        printer.text(f"{asked}\n{onnx.printer.to_text(self._written())}")
