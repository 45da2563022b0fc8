"""ONNX's own node tests as cases for gradients: one operator each, floats in and floats out."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from portgrad.graph.nothing import HYPER_PARAMETERS
from support.double import Arrays
from support.operators import DIFFERENTIABLE, OTHERS

T = onnx.TensorProto
NARROW = {T.FLOAT, T.FLOAT16, T.BFLOAT16}
FLOATING = {*NARROW, T.DOUBLE}

# Operands that give a dtype or count in whole steps, beside those that fix shapes.
_UNREAD = {"CastLike": {"target_type"}, "OneHot": {"indices"}}
# Attributes that name a dtype.
_DTYPES = {"to", "dtype", "output_datatype", "softmax_precision", "stash_type"}


@dataclass(frozen=True)
class NodeCase:
    """One node test.

    Attributes:
        name: ONNX's name of it.
        op: its operator.
        original: the model as ONNX has it.
        inputs: the inputs of its first data set.
    """

    name: str
    op: str
    original: onnx.ModelProto
    inputs: tuple[object, ...]

    def model(self) -> onnx.ModelProto:
        """The model, normalised as an upload is."""
        return ir.to_proto(load(NetFiles(self.original.SerializeToString())))

    def feeds(self) -> Arrays:
        """The inputs of the test, by name."""
        names = [value.name for value in self.original.graph.input]
        return {n: _array(x) for n, x in zip(names, self.inputs, strict=True)}

    @property
    def targets(self) -> tuple[str, ...]:
        """The floating inputs that the outputs' values depend on."""
        found = {v.name for v in self.original.graph.input if _type(v) in FLOATING}
        return tuple(n for n, slot in _slots(self.original) if n in found and self._read(slot))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The floating outputs."""
        return tuple(v.name for v in self.original.graph.output if _type(v) in FLOATING)

    def _read(self, slot: str) -> bool:
        crops = any(a.s == b"tf_crop_and_resize" for a in self.original.graph.node[0].attribute)
        if crops and slot == "roi":
            return True
        fixed = HYPER_PARAMETERS.get(self.op, frozenset()) | _UNREAD.get(self.op, set())
        return slot not in fixed


@functools.cache
def node_cases() -> dict[str, list[NodeCase]]:
    """All cases of one operator with floats in and out, by operator.

    Left out are what ONNX calls `_expanded`, function bodies in place of the operator, and values
    that are not tensors.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # ONNX makes its data anew, overflows included
        collected = collect_testcases(None)
    found: dict[str, list[NodeCase]] = {op: [] for op in (*DIFFERENTIABLE, *OTHERS)}
    for case in collected:
        node = case.model.graph.node[0]
        if node.op_type in found and _plain(case.name, case.model.graph):
            given = NodeCase(case.name, node.op_type, case.model, tuple(case.data_sets[0][0]))
            if given.targets and given.outputs:
                found[node.op_type].append(given)
    return found


def _plain(name: str, graph: onnx.GraphProto) -> bool:
    tensors = all(v.type.HasField("tensor_type") for v in (*graph.input, *graph.output))
    alone = len(graph.node) == 1 and graph.node[0].domain in ("", "ai.onnx", "ai.onnx.ml")
    return tensors and alone and not name.endswith("_expanded")


def elem_types(values: Iterable[onnx.ValueInfoProto]) -> dict[str, int]:
    """The element types of values by name."""
    return {value.name: _type(value) for value in values}


def _type(value: onnx.ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type)


def _array(given: object) -> np.ndarray:
    if isinstance(given, onnx.TensorProto):
        return numpy_helper.to_array(given)
    return np.asarray(given)


def _schema(model: onnx.ModelProto, node: onnx.NodeProto) -> onnx.defs.OpSchema:
    [version] = [o.version for o in model.opset_import if o.domain == node.domain]
    return onnx.defs.get_schema(node.op_type, version, node.domain)


def _slots(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    """Each input of a model of one node with the operand's name in the schema."""
    [node] = model.graph.node
    formal = _schema(model, node).inputs
    for index, name in enumerate(node.input):
        if name:
            yield name, formal[min(index, len(formal) - 1)].name


def widened(model: onnx.ModelProto, to: int = T.DOUBLE) -> onnx.ModelProto:
    """A normalised model in another dtype, but for operands that an operator takes in one alone.

    With `to` float32, what is in float64 stays so.
    """
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    fixed = {name for node in graph.node for name in _fixed(node, wide, to)}
    for value in graph.input:
        if value.name not in fixed and _type(value) in NARROW:
            value.type.tensor_type.elem_type = to
    for tensor in graph.initializer:
        if tensor.name not in fixed and tensor.data_type in NARROW:
            tensor.CopyFrom(_in_dtype(tensor, to))
    for node in graph.node:
        _widen_attributes(node, to)
    declared = {value.name: value for value in model.graph.output}
    del graph.output[:], graph.value_info[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in declared)
    wide = onnx.shape_inference.infer_shapes(wide, strict_mode=True, data_prop=True)
    for value in wide.graph.output:  # onnx infers nothing of some operators
        if not _type(value):
            value.CopyFrom(declared[value.name])
            value.type.tensor_type.elem_type = to if _type(value) in NARROW else _type(value)
    return wide


def _widen_attributes(node: onnx.NodeProto, to: int) -> None:
    for attribute in node.attribute:
        if attribute.name in _DTYPES and attribute.i in NARROW:
            attribute.i = to
        if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type in NARROW:
            attribute.t.CopyFrom(_in_dtype(attribute.t, to))


def _in_dtype(tensor: onnx.TensorProto, to: int) -> onnx.TensorProto:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(to)
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), tensor.name)


def _fixed(node: onnx.NodeProto, model: onnx.ModelProto, to: int) -> Iterator[str]:
    """Operands that the schema does not take in a dtype."""
    formal = _schema(model, node).inputs
    wanted = "tensor(double)" if to == T.DOUBLE else "tensor(float)"
    for index, name in enumerate(node.input):
        if wanted not in formal[min(index, len(formal) - 1)].types:
            yield name


def in_dtypes_of(model: onnx.ModelProto, feeds: Arrays) -> Arrays:
    """The feeds in the dtypes of a widened model."""
    kinds = elem_types(model.graph.input)
    return {
        n: x.astype(onnx.helper.tensor_dtype_to_np_dtype(kinds[n])) if kinds[n] in FLOATING else x
        for n, x in feeds.items()
    }
