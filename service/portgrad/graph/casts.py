"""A node in other dtypes than its graph: between casts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

# What is noted of a node and its casts: their dtypes are what they are on purpose.
BETWEEN = "portgrad/between-casts"


def surround(
    node: ir.Node,
    stem: str,
    operands: Mapping[int, ir.DataType],
    outputs: Mapping[int, ir.DataType],
    attributes: Sequence[ir.Attr] | None = None,
) -> ir.Node:
    """Replace a node by itself, with operands cast before it and outputs cast back after it.

    Args:
        node: the node.
        stem: what the names of new values begin with, which nothing else has.
        operands: the dtype that the node takes, by position; others stay.
        outputs: the dtype that the node gives, by position; others stay.
        attributes: its attributes; by default those that it has.

    Returns:
        The node that took its place.
    """
    before: dict[tuple[str, ir.DataType], ir.Node] = {}
    given = list(node.inputs)
    for index, dtype in operands.items():
        value = given[index]
        assert value is not None, "only operands that are there are cast"
        if (str(value.name), dtype) not in before:
            before[str(value.name), dtype] = _cast(value, dtype, f"{stem}/{len(before)}")
        given[index] = before[str(value.name), dtype].outputs[0]
    kept = list(node.attributes.values()) if attributes is None else attributes
    new = ir.Node(
        node.domain, node.op_type, given, kept, num_outputs=len(node.outputs), name=node.name,
        version=node.version,
    )  # fmt: skip
    new.meta.update(node.meta)
    after, results = [], []
    for index, (old, value) in enumerate(zip(node.outputs, new.outputs, strict=True)):
        value.name, value.type, value.shape = old.name, old.type, old.shape
        results.append(value)
        if old.name and index in outputs and old.dtype is not None:
            value.name, value.type = f"{stem}:{index}", ir.TensorType(outputs[index])
            after.append(_cast(value, old.dtype, old.name))
            results[-1] = after[-1].outputs[0]
    for added in (*before.values(), new, *after):
        added.meta[BETWEEN] = True
    graph = node.graph
    assert graph is not None, "a node that was found in a graph lies in one"
    ir.convenience.replace_nodes_and_values(
        graph, node, [node], [*before.values(), new, *after], node.outputs, results
    )
    return new


def _cast(value: ir.Value, dtype: ir.DataType, name: str) -> ir.Node:
    cast = ir.Node("", "Cast", [value], [ir.AttrInt64("to", int(dtype))], num_outputs=1)
    cast.outputs[0].name = name
    cast.outputs[0].type, cast.outputs[0].shape = ir.TensorType(dtype), value.shape
    return cast
