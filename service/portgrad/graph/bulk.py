"""Large tensors leave the model while C++ passes rewrite it, and come back afterwards.

Each C++ pass takes and gives the whole model as bytes. Weights in it would be copied several times
over and reach protobuf's limit of 2 GiB. In their place stands a graph input of the same name,
type and shape. Large tensors of subgraphs become the main graph's, which subgraphs can capture.

Most come from the file's bytes directly (`hold`): protobuf never had them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from portgrad.errors import InvalidNet
from portgrad.graph import walk
from portgrad.graph.external import ExternalData, embed, is_external

# Tensors up to this size stay: shapes, axes and scales, which conversion and inference read.
SMALL = 4096
# The tensor that a message holds, of that name.
_Read: TypeAlias = Callable[[onnx.TensorProto, str], ir.TensorProtocol]
# What a tensor says of itself that is nothing but its bytes.
_PLAIN = {"data_type", "dims", "doc_string", "name"}


@dataclass
class Bulk:
    """What was taken out of a model, by name of the value that it is."""

    initializers: dict[str, ir.TensorProtocol] = field(default_factory=dict)
    constants: dict[str, tuple[str, ir.TensorProtocol]] = field(default_factory=dict)

    def put_back(self, model: ir.Model) -> None:
        """Turn the inputs that stand for large tensors into these tensors again."""
        graph = model.graph
        stand_ins = [value for value in graph.inputs if self._holds(value.name)]
        ports = [value for value in graph.inputs if not self._holds(value.name)]
        graph.inputs.clear()
        graph.inputs.extend(ports)
        for value in stand_ins:
            if value.name in self.initializers:
                value.const_value = self.initializers[value.name]
                graph.register_initializer(value)
            else:
                self._put_back_constant(graph, value)

    def _holds(self, name: str | None) -> bool:
        return name in self.initializers or name in self.constants

    def _put_back_constant(self, graph: ir.Graph, value: ir.Value) -> None:
        node_name, tensor = self.constants[value.name or ""]
        attribute = ir.AttrTensor("value", tensor)
        node = ir.Node("", "Constant", [], [attribute], name=node_name or None)
        output = node.outputs[0]
        output.name, output.type, output.shape = value.name, value.type, value.shape
        ir.convenience.replace_all_uses_with(value, output)
        if len(graph):
            graph.insert_before(graph[0], node)
        else:
            graph.append(node)


def hold(model: onnx.ModelProto, raw: Mapping[int, memoryview]) -> dict[str, ir.TensorProtocol]:
    """Initializers whose bytes were left out of a model, by name.

    What is not known by its name, or is not plainly what its bytes are, gets them back.

    Args:
        model: the model.
        raw: the bytes, by the place of the initializer.
    """
    times = Counter(tensor.name for tensor in model.graph.initializer) if raw else {}
    held: dict[str, ir.TensorProtocol] = {}
    for place, data in raw.items():
        tensor = model.graph.initializer[place]
        if times[tensor.name] == 1 and _fits(tensor, data):
            dtype = ir.DataType(tensor.data_type)
            # In memory of its own: in the file numbers begin anywhere.
            array = np.frombuffer(bytes(data), dtype.numpy()).reshape(tuple(tensor.dims))
            held[tensor.name] = ir.Tensor(array, dtype=dtype, name=tensor.name)
        else:
            tensor.raw_data = bytes(data)
    return held


def _fits(tensor: onnx.TensorProto, data: memoryview) -> bool:
    if not _is_large(tensor) or any(field.name not in _PLAIN for field, _ in tensor.ListFields()):
        return False
    bits = ir.DataType(tensor.data_type).bitwidth
    return bits % 8 == 0 and math.prod(tensor.dims) * bits == 8 * len(data)


def take_out(
    model: onnx.ModelProto,
    external: ExternalData,
    held: Mapping[str, ir.TensorProtocol],
) -> Bulk:
    """Take every large tensor out of a model, in place; read small external ones into it.

    Args:
        model: the model.
        external: the files that were uploaded beside it.
        held: what `hold` found.

    Raises:
        InvalidNet: `invalid_tensor` if a tensor's data do not fit its shape, or what
            `ExternalData.read` raises.
    """
    bulk = Bulk()
    movable = _movable(model)
    for tensor in model.graph.initializer:
        name = tensor.name
        if name in held and name not in movable and not tensor.HasField("raw_data"):
            tensor.raw_data = held[name].tobytes()

    def read(tensor: onnx.TensorProto, name: str) -> ir.TensorProtocol:
        return held[name] if name in held else _tensor(tensor, name, external)

    for graph in walk.graphs(model.graph):
        _take_initializers(model, graph, bulk, movable, read)
        _take_constants(model, graph, bulk, movable, read)
    for name, tensor in walk.tensors(model):
        if is_external(tensor):
            embed(tensor, external.read(tensor, name))
    return bulk


def check_rest(model: onnx.ModelProto) -> None:
    """Refuse tensors, of those that stay, whose data do not fill their shape.

    Raises:
        InvalidNet: `invalid_tensor`.
    """
    for name, tensor in walk.tensors(model):
        if tensor.data_type != onnx.TensorProto.STRING:
            _array(tensor, name)


def _take_initializers(
    model: onnx.ModelProto,
    graph: onnx.GraphProto,
    bulk: Bulk,
    movable: set[str],
    read: _Read,
) -> None:
    for index, tensor in reversed(list(enumerate(graph.initializer))):
        if tensor.name in movable and _is_large(tensor):
            bulk.initializers[tensor.name] = read(tensor, tensor.name)
            _stand_in(model, tensor.name, tensor)
            del graph.initializer[index]


def _take_constants(
    model: onnx.ModelProto,
    graph: onnx.GraphProto,
    bulk: Bulk,
    movable: set[str],
    read: _Read,
) -> None:
    for index, node in reversed(list(enumerate(graph.node))):
        if node.op_type != "Constant" or node.domain or len(node.output) != 1:
            continue
        name = node.output[0]
        for attribute in node.attribute:
            large = attribute.name == "value" and _is_large(attribute.t)
            if large and name in movable and len(node.attribute) == 1:
                bulk.constants[name] = node.name, read(attribute.t, name)
                _stand_in(model, name, attribute.t)
                del graph.node[index]


def _movable(model: onnx.ModelProto) -> set[str]:
    """What is defined once, and is no graph's output."""
    times = Counter(name for graph in walk.graphs(model.graph) for name in _defined(graph))
    ends = {output.name for graph in walk.graphs(model.graph) for output in graph.output}
    return {name for name, count in times.items() if count == 1 and name} - ends


def _defined(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield from node.output


def _is_large(tensor: onnx.TensorProto) -> bool:
    fixed_width = tensor.data_type not in {onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING}
    known = tensor.data_type in onnx.TensorProto.DataType.values()
    if not (fixed_width and known) or min(tensor.dims, default=0) < 0:
        return False
    size: int = math.prod(tensor.dims)
    return size * ir.DataType(tensor.data_type).bitwidth > 8 * SMALL


def _tensor(tensor: onnx.TensorProto, name: str, external: ExternalData) -> ir.TensorProtocol:
    """The tensor over its own memory: the protobuf can be freed, a mapped file stays mapped."""
    dtype = ir.DataType(tensor.data_type)
    if is_external(tensor):
        data = external.read(tensor, name)
        if dtype.bitwidth >= 8:
            array = np.frombuffer(data, dtype.numpy()).reshape(tuple(tensor.dims))
            return ir.Tensor(array, dtype=dtype, name=name)
        embed(tensor, data)
    return ir.Tensor(_array(tensor, name), dtype=dtype, name=name)


def _array(tensor: onnx.TensorProto, name: str) -> np.ndarray[Any, Any]:
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, LookupError) as error:
        known = tensor.data_type in onnx.TensorProto.DataType.values()
        dtype = ir.DataType(tensor.data_type).name.lower() if known else "unknown"
        raise InvalidNet(
            f"The data of the tensor `{name}` do not fit its shape.",
            code="invalid_tensor",
            where=f"tensor `{name}`",
            expected=f"{dtype} data of shape {list(tensor.dims)}",
            remedy="Export the net again.",
        ) from error


def _stand_in(model: onnx.ModelProto, name: str, tensor: onnx.TensorProto) -> None:
    value = onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims))
    model.graph.input.append(value)
