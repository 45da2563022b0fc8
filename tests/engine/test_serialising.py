"""What a session is made of says what onnx_ir says, and what nobody reads is gone from it."""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir
import pytest
from onnx_ir.passes.common import RemoveUnusedNodesPass

from portgrad.engine.serialising import as_bytes
from portgrad.graph import walk
from portgrad.graph.pruning import prune

NETS = {
    "attributes and outputs": """<ir_version: 10, opset_import: ["" : 21]>
        g (float["N", 3, 8, 8] x, float s, bool c) => (float[] y, float[] z)
        <float[2, 3, 1, 1] w = {1, 2, 3, 4, 5, 6}, int64[1] k = {2}, string[1] t = {"a"}> {
            a = Conv <auto_pad = "NOTSET", pads = [0, 0, 0, 0], strides = [1, 1]> (x, w)
            b, unread = MaxPool <kernel_shape = [2, 2]> (a)
            values, indices = TopK (b, k)
            n, mean, spread = LayerNormalization <epsilon = 1e-3> (a, s)
            alone = Shape <start = 1> (n)
            e = Constant <value_floats = [1.0, 2.0]> ()
            f = Constant <value = float[2] {1, 2}> ()
            l = Clip (values, , s)
            d, mask = Dropout (l)
            y = Identity (d)
            z = Gather (e, indices)
        }""",
    "subgraphs and sequences": """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
        g (float[4] x, bool c) => (float[] y, seq(float[4]) q)
        <float[1] w = {1}> {
            h = Gelu <approximate = "none"> (x)
            m = com.microsoft.FastGelu (h)
            r = If (c) <
                then_branch = then () => (float[4] p) { d = Neg (m) p = Abs (m) },
                else_branch = other () => (float[4] u) <float[1] v = {2}> { u = Mul (h, v) }>
            q = SequenceConstruct (r, h)
            i = Constant <value = int64 {0}> ()
            y = SequenceAt (q, i)
        }""",
}


def _typed(text: str) -> ir.Model:
    return ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)))


def _plain(proto: onnx.ModelProto) -> Any:
    """Without what is left out on purpose; what is told of values, in order of names."""
    infos = {}
    for graph in walk.graphs(proto.graph):
        held = {tensor.name for tensor in graph.initializer}
        infos.update((i.name, i.type) for i in graph.value_info if i.name not in held)
        del graph.value_info[:]
    return proto, infos


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("pruned", [False, True])
def test_bytes_say_what_onnx_ir_says(net: str, pruned: bool) -> None:
    model = _typed(NETS[net])
    if pruned:
        prune(model)
    assert _plain(onnx.ModelProto.FromString(as_bytes(model))) == _plain(ir.to_proto(model))


def test_a_reference_to_an_attribute_of_a_function_is_none_of_a_graph() -> None:
    model = _typed(NETS["subgraphs and sequences"])
    node = model.graph.node(0)
    node.attributes["approximate"] = ir.RefAttr("approximate", "how", ir.AttributeType.STRING)
    with pytest.raises(ValueError, match="approximate"):
        as_bytes(model)


@pytest.mark.parametrize("net", NETS)
def test_what_nobody_reads_is_removed_as_onnx_ir_does(net: str) -> None:
    ours, theirs = _typed(NETS[net]), _typed(NETS[net])
    prune(ours)
    RemoveUnusedNodesPass()(theirs)
    assert _plain(ir.to_proto(ours)) == _plain(ir.to_proto(theirs))
    assert len(ours.graph) < len(_typed(NETS[net]).graph) or net.startswith("subgraphs")


def test_what_only_an_unread_branch_captures_is_removed() -> None:
    model = _typed(NETS["subgraphs and sequences"].replace("(r, h)", "(h, h)"))
    prune(model)
    assert [node.op_type for node in model.graph] == [
        *("Gelu", "SequenceConstruct", "Constant", "SequenceAt")
    ]
    assert not model.graph.initializers
