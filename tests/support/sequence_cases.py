"""ONNX's own node tests of control flow, sequences and optionals, with tensors at their ports.

A port that is a sequence or an optional is no target. So each case becomes a net that makes such
inputs of tensors, and takes such outputs apart, as many elements as the test's data have.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.backend.test.case.node import collect_testcases

from portgrad.graph.opsets import WORKING_OPSET
from support.double import Arrays

OPERATORS = frozenset(
    "ConcatFromSequence Identity If Loop Optional OptionalGetElement OptionalHasElement Scan "
    "SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength "
    "SequenceMap SplitToSequence".split()
)


@dataclass
class TensorCase:
    """One node test between tensors.

    Attributes:
        name: ONNX's name of it.
        model: the net, of one node and what stands around it.
        feeds: the inputs of the test.
        expected: its outputs.
    """

    name: str
    model: onnx.ModelProto
    feeds: Arrays = field(default_factory=dict)
    expected: Arrays = field(default_factory=dict)

    def add_input(self, port: onnx.ValueInfoProto, given: Any) -> None:
        """Compute a port of the test from tensors."""
        self._make(port.name, port.type, given)

    def add_output(self, port: onnx.ValueInfoProto, given: Any) -> None:
        """Compute tensors from a port of the test."""
        kind = port.type.WhichOneof("value")
        if kind == "optional_type":
            inner = onnx.ValueInfoProto(name=f"{port.name}/inner")
            inner.type.CopyFrom(port.type.optional_type.elem_type)
            self._node("OptionalGetElement", [port.name], inner.name)
            self.add_output(inner, given)
        elif kind == "sequence_type":
            for place, element in enumerate(given):
                index, name = f"{port.name}/index{place}", f"{port.name}/{place}"
                self._node("Constant", [], index, value_int=place)
                self._node("SequenceAt", [port.name, index], name)
                self._give(name, np.asarray(element))
        else:
            self._give(port.name, np.asarray(given))

    def _make(self, name: str, kind: onnx.TypeProto, given: Any) -> None:
        if kind.HasField("optional_type"):
            inner = kind.optional_type.elem_type
            if given is None:
                self._node("Optional", [], name, type=inner)
                return
            tensor = inner.HasField("tensor_type") and isinstance(given, list)
            self._make(f"{name}/inner", inner, given[0] if tensor else given)
            self._node("Optional", [f"{name}/inner"], name)
        elif kind.HasField("sequence_type"):
            names = [f"{name}/{place}" for place in range(len(given))]
            for element, array in zip(names, given, strict=True):
                self._take(element, np.asarray(array))
            dtype = kind.sequence_type.elem_type.tensor_type.elem_type
            if names:
                self._node("SequenceConstruct", names, name)
            else:
                self._node("SequenceEmpty", [], name, dtype=dtype)
        else:
            self._take(name, np.asarray(given))

    def _node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.model.graph.node.append(helper.make_node(op, inputs, [output], **attributes))

    def _take(self, name: str, array: np.ndarray) -> None:
        dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.model.graph.input.append(helper.make_tensor_value_info(name, dtype, array.shape))
        self.feeds[name] = array

    def _give(self, name: str, array: np.ndarray) -> None:
        dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.model.graph.output.append(helper.make_tensor_value_info(name, dtype, None))
        self.expected[name] = array

    @property
    def targets(self) -> tuple[str, ...]:
        """The floating inputs."""
        return tuple(name for name, x in self.feeds.items() if x.dtype.kind == "f")

    @property
    def outputs(self) -> tuple[str, ...]:
        """The floating outputs."""
        return tuple(name for name, x in self.expected.items() if x.dtype.kind == "f")


@functools.cache
def sequence_cases() -> dict[str, TensorCase]:
    """The cases with floats in and out, by name."""
    found = (_tensors(case) for case in _collected())
    return {case.name: case for case in found if case.targets and case.outputs}


def _collected() -> Iterator[Any]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # ONNX makes its data anew, overflows included
        collected = collect_testcases(None)
    for case in collected:
        ports = (*case.model.graph.input, *case.model.graph.output)
        plain = all(port.type.HasField("tensor_type") for port in ports)
        op = case.model.graph.node[0].op_type
        other = case.name.endswith("_expanded") or (plain and op == "Identity")
        if op in OPERATORS and not other:
            yield case


def _tensors(case: Any) -> TensorCase:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for entry in model.opset_import:  # onnxruntime has no kernels of optionals at 28
        entry.version = min(entry.version, WORKING_OPSET)
    graph, [(inputs, outputs), *_] = model.graph, case.data_sets
    nodes = list(graph.node)
    del graph.node[:], graph.input[:], graph.output[:]
    made = TensorCase(case.name, model)
    for port, given in zip(case.model.graph.input, inputs, strict=True):
        made.add_input(port, given)
    graph.node.extend(nodes)
    for port, given in zip(case.model.graph.output, outputs, strict=True):
        made.add_output(port, given)
    return made
