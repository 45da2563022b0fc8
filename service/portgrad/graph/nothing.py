"""Which tensors have no gradient, and why: the second of the three nothings (`none`).

A tensor that the outputs do not depend on has gradient zero, and an operator without a rule is
unsupported: neither is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from portgrad.graph.inside import with_inner
from portgrad.graph.slots import Slots, addresses

# Operands that fix a shape or choose what an operator computes: no derivative exists there.
# Bounds of Clip, start and step of Range, the padding value of Pad and the values of OneHot are
# not among them, since the output's values depend on them smoothly.
HYPER_PARAMETERS: Mapping[str, frozenset[str]] = {
    "AffineGrid": frozenset({"size"}),
    "BlackmanWindow": frozenset({"size"}),
    "CenterCropPad": frozenset({"shape"}),
    "Col2Im": frozenset({"image_shape", "block_shape"}),
    "ConstantOfShape": frozenset({"input"}),
    "DFT": frozenset({"dft_length"}),
    "Dropout": frozenset({"ratio"}),
    "Expand": frozenset({"shape"}),
    "HammingWindow": frozenset({"size"}),
    "HannWindow": frozenset({"size"}),
    "MaxUnpool": frozenset({"output_shape"}),
    "MelWeightMatrix": frozenset(
        {"num_mel_bins", "dft_length", "sample_rate", "lower_edge_hertz", "upper_edge_hertz"}
    ),
    "NonMaxSuppression": frozenset(
        {"max_output_boxes_per_class", "iou_threshold", "score_threshold"}
    ),
    "OneHot": frozenset({"depth"}),
    "Range": frozenset({"limit"}),
    "Reshape": frozenset({"shape"}),
    "Resize": frozenset({"roi", "scales", "sizes"}),
    "STFT": frozenset({"frame_step", "frame_length"}),
    "Split": frozenset({"split"}),
    "SplitToSequence": frozenset({"split"}),
    "Tile": frozenset({"repeats"}),
    "TopK": frozenset({"K"}),
    "Upsample": frozenset({"scales"}),
}

# These look at an operand's shape or type only, so the outputs do not depend on its values: zero.
VALUES_UNREAD = frozenset(
    {"EyeLike", "RandomNormalLike", "RandomUniformLike", "SequenceLength", "Shape", "Size"}
)


def shape_fixing(graph: ir.Graph, slots: Slots) -> dict[ir.Value, str]:
    """The values that only fix shapes or hyper-parameters, each with the reason.

    Seen through any number of nodes: a float that is multiplied, rounded, cast and then used as
    the shape of a Reshape alone fixes a shape. One other use makes a value an ordinary one.
    """
    search = _Search(slots, addresses(with_inner(graph)))
    for node in reversed(ir.traversal.RecursiveGraphIterator(graph)):
        search.visit(node.outputs)
    for body in (graph, *graph.subgraphs()):
        search.visit(body.initializers.values())
    search.visit(graph.inputs)
    return search.found


class _Search:
    """Consumers are visited before what they consume, so one look at each use is enough."""

    def __init__(self, slots: Slots, called: Mapping[ir.Node, str]) -> None:
        self.found: dict[ir.Value, str] = {}
        self._slots = slots
        self._called = called

    def visit(self, values: Iterable[ir.Value]) -> None:
        for value in values:
            reasons = [self._reason(node, index) for node, index in value.uses()]
            if reasons and reasons[0] and all(reasons) and not value.is_graph_output():
                self.found[value] = reasons[0]

    def _reason(self, node: ir.Node, index: int) -> str | None:
        name = self._slots.operand_name(node, index)
        if node.domain == "" and name in _hyper_parameters(node):
            operator = f"the {node.op_type} node `{self._called[node]}`"
            return f"it only fixes shapes or hyper-parameters: `{name}` of {operator}"
        if node.op_type in VALUES_UNREAD or _has_subgraph(node):
            return None
        read = [out for out in node.outputs if out.uses() or out.is_graph_output()]
        return self.found.get(read[0]) if read and all(out in self.found for out in read) else None


def _hyper_parameters(node: ir.Node) -> frozenset[str]:
    names = HYPER_PARAMETERS.get(node.op_type, frozenset())
    mode = node.attributes.get("coordinate_transformation_mode")
    # Cropping samples at coordinates that roi moves continuously: there it is data.
    crops = mode is not None and mode.as_string() == "tf_crop_and_resize"
    return names - {"roi"} if crops else names


def _has_subgraph(node: ir.Node) -> bool:
    kinds = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    return any(attribute.type in kinds for attribute in node.attributes.values())
