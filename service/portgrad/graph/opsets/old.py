"""A node of an old opset that waits for its adapter, and what adapters write its meaning with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

from portgrad.errors import InvalidNet
from portgrad.graph import walk
from portgrad.graph.known import Known

Nodes: TypeAlias = list[onnx.NodeProto]

# The domain that a node waits in, where the converter does not see it.
SHELTER = "portgrad.shelter"


@dataclass(frozen=True)
class Old:
    """A node of an old opset that waits for its adapter."""

    node: onnx.NodeProto
    version: int
    known: Known

    @property
    def attributes(self) -> dict[str, Any]:
        """The node's attributes as Python values, strings as text."""
        read = {a.name: helper.get_attribute_value(a) for a in self.node.attribute}
        return {k: v.decode() if isinstance(v, bytes) else v for k, v in read.items()}

    def required(self, name: str) -> Any:
        """An attribute that has no default."""
        if name not in self.attributes:
            raise self.refused(f"it has no attribute {name!r}")
        return self.attributes[name]

    def rank(self, index: int) -> int:
        """The rank of an operand."""
        rank = self.known.rank(self.node.input[index])
        if rank is None:
            raise self.refused(f"the rank of its operand `{self.node.input[index]}` is not known")
        return rank

    def refused(self, why: str) -> InvalidNet:
        """The error that this node cannot be adapted."""
        return refused(self.node, self.version, why)

    def emit(self, op: str, inputs: list[str], role: str, **attributes: Any) -> onnx.NodeProto:
        """A helper node, named after this one and its role."""
        output = self.known.fresh(f"{self.node.output[0]}_{role}")
        return helper.make_node(op, inputs, [output], output, **attributes)

    def constant(self, array: np.ndarray[Any, Any], role: str) -> onnx.NodeProto:
        """A Constant node."""
        return self.emit("Constant", [], role, value=numpy_helper.from_array(array))

    def number(self, value: Any, role: str) -> onnx.NodeProto:
        """A Constant node of the first operand's dtype, of float32 where that is not known."""
        dtype = self.known.dtype(self.node.input[0]) or onnx.TensorProto.FLOAT
        return self.constant(np.asarray(value, helper.tensor_dtype_to_np_dtype(dtype)), role)

    def final(self, op: str, inputs: list[str], **attributes: Any) -> onnx.NodeProto:
        """The node that takes this one's place, name and output."""
        return helper.make_node(op, inputs, self.node.output, self.node.name, **attributes)


def refused(node: onnx.NodeProto, version: int, why: str) -> InvalidNet:
    """The error that a node has no equivalent in the working opset."""
    return InvalidNet(
        f"{node.op_type} as opset {version} means it cannot be converted: {why}.",
        code="unsupported_opset",
        where=f"node `{walk.called(node)}` ({node.op_type})",
        found=f"opset {version}",
        remedy="Export the net again with opset 13 or newer.",
    )
