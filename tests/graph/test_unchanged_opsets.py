"""Nets that reach the working opset by its number alone: onnx's converter changes nothing there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import onnx
import pytest

from portgrad.graph.opsets import WORKING_OPSET, convert
from portgrad.graph.opsets.unchanged import SINCE, all_unchanged
from rules.test_rule_table import ROWS as ALL_ROWS
from support.older import older, versions
from support.rig import Row

ROWS: dict[str, list[Row]] = defaultdict(list)
for _row in ALL_ROWS:
    if not _row.domain:
        ROWS[_row.op].append(_row)
# A node of each operator that no rule is told of.
OTHERS = {
    **dict.fromkeys(["And", "Or", "Xor"], "bool[2] a, bool[2] b"),
    **dict.fromkeys(["Equal", "Greater", "Less"], "int64[2] a, int64[2] b"),
    **dict.fromkeys(["Ceil", "Floor", "Sign", "Shape", "Constant"], "float[2] a"),
    **{"Not": "bool[2] a", "ConstantOfShape": "int64[2] a"},
}


def _models(op: str) -> Iterator[onnx.ModelProto]:
    """Nets of one node in each version since the one that is told, at its oldest opset."""
    since = SINCE[op]
    current = onnx.defs.get_schema(op, since).since_version
    for version in [*filter(current.__le__, versions(op, WORKING_OPSET))]:
        forms = (older(row, version) for row in ROWS.get(op, ()))
        for model, _ in filter(None, forms):
            model.opset_import[0].version = max(since, version)
            yield model
        if op in OTHERS:
            yield _other(op, max(since, version))


def _other(op: str, version: int) -> onnx.ModelProto:
    if op == "Constant":
        node = "y = Constant <value = float[1] {1}> ()"
    else:
        node = f"y = {op} ({', '.join(port[-1] for port in OTHERS[op].split(','))})"
    text = f'<ir_version: 8, opset_import: ["" : {version}]> g ({OTHERS[op]}) => (y) {{ {node} }}'
    return onnx.parser.parse_model(text)


def _nodes(model: onnx.ModelProto) -> list[tuple[object, ...]]:
    """Nodes without their names, attributes in order."""
    return [
        (
            *(node.op_type, node.domain, tuple(node.input), tuple(node.output)),
            *sorted(attribute.SerializeToString() for attribute in node.attribute),
        )
        for node in model.graph.node
    ]


@pytest.mark.parametrize("op", sorted(SINCE))
def test_the_converter_would_leave_the_node_as_it_is(op: str) -> None:
    seen = 0
    for model in _models(op):
        version = model.opset_import[0].version
        if not all_unchanged(model, version):
            assert any(len(node.output) > 1 for node in model.graph.node) or _has_help(model)
            continue
        seen += 1
        typed = onnx.shape_inference.infer_shapes(model)
        theirs = onnx.version_converter.convert_version(typed, WORKING_OPSET)
        assert _nodes(theirs) == _nodes(model), version
        ours = convert.convert(model)
        assert ours is model
        assert [entry.version for entry in ours.opset_import] == [WORKING_OPSET]
    assert seen or not versions(op, WORKING_OPSET)


def _has_help(model: onnx.ModelProto) -> bool:
    """Whether the row has nodes beside its own, which may be of other versions."""
    return len(model.graph.node) > 1


@pytest.mark.parametrize(
    "node",
    [
        "y = Softmax (x)",
        "y, m = Dropout (x)",
        "y = com.microsoft.Gelu (x)",
        "y = BatchNormalization (x, s, s, s, s)",
    ],
)
def test_whatever_else_is_converted(node: str) -> None:
    header = '<ir_version: 8, opset_import: ["" : 8, "com.microsoft" : 1]>'
    text = f"{header} g (float[2, 3] x, float[3] s) => (float[2, 3] y) {{ {node} }}"
    assert not all_unchanged(onnx.parser.parse_model(text), 8)
