"""What is known of an old net's values before it is converted: types, shapes, constants, names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias, TypeVar

import numpy as np
import onnx
from onnx import numpy_helper

from portgrad.graph import walk

T = TypeVar("T")
Shape: TypeAlias = list[int | str]

_DTYPES = set(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}


class Known:
    """Looks the values of a typed model up by name. A name of two branches counts as unknown."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graphs = list(walk.graphs(model.graph))
        infos = [info for graph in graphs for info in _infos(graph)]
        self._types = _once((info.name, info.type) for info in infos)
        self._constants = _once(item for graph in graphs for item in _tensors(graph))
        self._taken: set[str] = set()
        self.reserve(model)

    def reserve(self, model: onnx.ModelProto) -> None:
        """Count the names of a model's values as taken."""
        for graph in walk.graphs(model.graph):
            self._taken.update(info.name for info in graph.input)
            self._taken.update(tensor.name for tensor in graph.initializer)
            self._taken.update(name for node in graph.node for name in node.output)

    def shape(self, name: str) -> Shape | None:
        """The shape of a value, symbols as text, unknown sizes as ""; None without rank."""
        if name in self._constants:
            return list(self._constants[name].dims)
        tensor = self._types[name].tensor_type if name in self._types else None
        if tensor is None or not tensor.HasField("shape"):
            return None
        return [d.dim_value if d.HasField("dim_value") else d.dim_param for d in tensor.shape.dim]

    def rank(self, name: str) -> int | None:
        """The rank of a value."""
        shape = self.shape(name)
        return None if shape is None else len(shape)

    def dtype(self, name: str) -> int | None:
        """The element type of a tensor."""
        if name in self._constants:
            return self._constants[name].data_type
        dtype = self._types[name].tensor_type.elem_type if name in self._types else None
        return dtype if dtype in _DTYPES else None

    def constant(self, name: str) -> np.ndarray[Any, Any] | None:
        """The value of an initializer or of a Constant node."""
        return numpy_helper.to_array(self._constants[name]) if name in self._constants else None

    def fresh(self, wish: str) -> str:
        """A name that no value has yet."""
        name, times = wish, 1
        while name in self._taken:
            times += 1
            name = f"{wish}_{times}"
        self._taken.add(name)
        return name


def _infos(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    yield from graph.input
    yield from graph.value_info
    held = {info.name for info in graph.value_info}
    yield from (info for info in graph.output if info.name not in held)


def _tensors(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        if node.op_type == "Constant" and not node.domain:
            values = [attribute.t for attribute in node.attribute if attribute.name == "value"]
            yield from ((node.output[0], tensor) for tensor in values)


def _once(items: Iterable[tuple[str, T]]) -> dict[str, T]:
    items = list(items)
    times = Counter(name for name, _ in items)
    return {name: item for name, item in items if times[name] == 1}
