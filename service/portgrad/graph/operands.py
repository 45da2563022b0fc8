"""Attributes and operands that onnx's checks let pass, though no runtime can read them."""

from __future__ import annotations

import re

import onnx
import onnx_ir as ir

from portgrad.errors import InvalidNet
from portgrad.graph import walk
from portgrad.graph.inside import with_inner

# onnx's inference never ends on other characters.
_EQUATION = re.compile(r"[A-Za-z., ]*(?:->[A-Za-z. ]*)?")
# Sizes among the attributes of onnxruntime's own operators, and the largest of use.
_SIZES = {
    "K": 2**24,
    "N": 2**24,
    "bits": 16,
    "block_size": 2**24,
    "dilation": 2**16,
    "size": 2**16,
    "step": 2**16,
}
# Operands that are lists of numbers, by what the schemas call them.
_LISTS = frozenset(
    "axes ends output_shape pads repeats scales shape sizes split starts steps".split()
)
# One number is a list to these: by the schema of the one, and to every runtime in the other.
_SCALARS = frozenset(["SplitToSequence", "Unsqueeze"])


def check_attributes(model: onnx.ModelProto) -> None:
    """Refuse what onnx's inference does not end on, takes all memory for, or ends the process at.

    Raises:
        InvalidNet: `invalid_net`.
    """
    for node in walk.nodes(model.graph):
        if node.domain == "com.microsoft":
            _check_sizes(node)
        for attribute in node.attribute if not node.domain else ():
            text = attribute.s.decode()
            which, parts = (node.op_type, attribute.name), len(node.output)
            if which == ("Einsum", "equation") and not _EQUATION.fullmatch(text):
                raise _wrong(node, attribute, "letters, commas, dots and one arrow", text)
            if which == ("GatherND", "batch_dims") and attribute.i < 0:
                raise _wrong(node, attribute, "0 or more", f"{attribute.i}")
            if which == ("Split", "num_outputs") and attribute.i != parts:
                raise _wrong(node, attribute, f"{parts}, for as many outputs", f"{attribute.i}")


def _check_sizes(node: onnx.NodeProto) -> None:
    """onnx ends the process where a size of one of these comes to be less than nothing."""
    for attribute in node.attribute:
        most = _SIZES.get(attribute.name)
        if most is not None and not 1 <= attribute.i <= most:
            raise _wrong(node, attribute, f"1 to {most}", f"{attribute.i}")


def _wrong(
    node: onnx.NodeProto, attribute: onnx.AttributeProto, expected: str, found: str
) -> InvalidNet:
    return InvalidNet(
        f"The attribute `{attribute.name}` of the operator {node.op_type} cannot be that.",
        code="invalid_net",
        where=f"node `{walk.called(node)}` ({node.op_type})",
        expected=expected,
        found=repr(found[:80]),
        remedy="Export the net again.",
    )


def check_lists(model: ir.Model) -> None:
    """Refuse axes, sizes and the like that are arrays of another rank than 1.

    Raises:
        InvalidNet: `invalid_net`.
    """
    for node in with_inner(model.graph):
        version = model.graph.opset_imports.get(node.domain, 1)
        if node.domain or not onnx.defs.has(node.op_type, version):
            continue
        formals = onnx.defs.get_schema(node.op_type, version).inputs
        for formal, value in zip(formals, node.inputs, strict=False):
            if formal.name not in _LISTS or value is None or value.shape is None:
                continue
            rank = len(value.shape)
            if rank != 1 and not (rank == 0 and node.op_type in _SCALARS):
                raise InvalidNet(
                    f"The operand `{formal.name}` of a {node.op_type} is no list of numbers.",
                    code="invalid_net",
                    where=f"node `{node.name or value.name}` ({node.op_type})",
                    expected="a tensor of rank 1",
                    found=f"rank {rank}",
                    remedy="Export the net again.",
                )
