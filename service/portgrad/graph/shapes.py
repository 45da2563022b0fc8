"""Types and shapes of every value, inferred anew: what the file says of them may be stale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import onnx
from onnx import helper

from portgrad.graph import arithmetic, elements, inference, walk
from portgrad.graph.check import guarded
from portgrad.graph.schemas import classical


def forget(model: onnx.ModelProto) -> None:
    """Drop what a model says of its inner values, in place.

    It stays for the outputs of other domains' operators, about which onnx can infer nothing.
    """
    for graph in walk.all_graphs(model):
        foreign = {name for node in graph.node if node.domain for name in node.output}
        kept = [info for info in graph.value_info if info.name in foreign]
        if len(kept) < len(graph.value_info):
            graph.ClearField("value_info")
            graph.value_info.extend(kept)


def free_negative_dimensions(model: onnx.ModelProto) -> None:
    """Sizes below 0 become unknown, in place: exporters mean "any", and onnx aborts on them."""
    for graph in walk.all_graphs(model):
        for info in (*graph.input, *graph.output, *graph.value_info):
            for dim in _dims(info.type):
                if dim.dim_value < 0:
                    dim.ClearField("dim_value")


def name_unknown_sizes(graph: onnx.GraphProto) -> None:
    """Give each unknown size of an input port a symbol, `PORT_AXIS`, in place.

    Inference carries symbols along, so that sizes that are the same are known to be the same. A
    symbol `unk__N` says nothing, either: onnx writes it for what it does not know, and converters
    keep it.
    """
    taken = {
        dim.dim_param
        for info in (*graph.input, *graph.output, *graph.value_info)
        for dim in _dims(info.type)
    }
    for port in graph.input:
        for axis, dim in enumerate(_dims(port.type)):
            if dim.dim_param[:5] == "unk__" or not _is_sized(dim):
                symbol = f"{port.name}_{axis}"
                while symbol in taken:
                    symbol += "_"
                dim.dim_param = symbol
                taken.add(symbol)


def _is_sized(dim: onnx.TensorShapeProto.Dimension) -> bool:
    return bool(dim.dim_param) or dim.HasField("dim_value")


def _dims(kind: onnx.TypeProto) -> Iterable[onnx.TensorShapeProto.Dimension]:
    which = kind.WhichOneof("value")
    if which in {"tensor_type", "sparse_tensor_type"}:
        dims: Iterable[onnx.TensorShapeProto.Dimension] = getattr(kind, which).shape.dim
        return dims
    if which in {"sequence_type", "optional_type"}:
        return _dims(getattr(kind, which).elem_type)
    return ()


def infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with types and shapes of its values, symbolic dimensions kept.

    Raises:
        InvalidNet: `shape_inference_failed`, naming the node where onnx does.
    """
    forget(model)
    spelled = _spell_out_defaults(model)
    checked = _unpromising(model) if "STFT" in spelled or _of_classical_models(model) else model
    typed = _guarded(lambda: inferred(checked, follow=False), checked)
    follow = inference.bearable(typed)
    return _guarded(lambda: _without_promises(model, follow=follow), model)


def _guarded(run: Callable[[], onnx.ModelProto], model: onnx.ModelProto) -> onnx.ModelProto:
    return guarded(
        run,
        model,
        code="shape_inference_failed",
        what="The types or shapes of the net contradict each other.",
        remedy="Check the named node's operands against its operator, and export the net again.",
    )


def _of_classical_models(model: onnx.ModelProto) -> bool:
    """Whether skl2onnx or the like wrote it, which import the domain even where it is not used."""
    return any(entry.domain == classical.DOMAIN for entry in model.opset_import)


def _unpromising(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that declares no shapes of outputs.

    Exporters write down what onnx's inference got wrong, or guess: skl2onnx gives what a
    PLSRegression predicts as many columns as it has features.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _forget_promises(copy)
    return copy


def promised(model: onnx.ModelProto) -> dict[str, tuple[int | str | None, ...]]:
    """What a file declares of the shapes of its output ports, by name."""
    return {
        info.name: tuple(
            dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
            for dim in info.type.tensor_type.shape.dim
        )
        for info in model.graph.output
        if info.type.HasField("tensor_type") and info.type.tensor_type.HasField("shape")
    }


def _without_promises(model: onnx.ModelProto, *, follow: bool) -> onnx.ModelProto:
    """The model with types and shapes that follow from its inputs alone.

    What a file declares of its outputs is a promise that nothing keeps, not even the runtime: a
    symbol that they share with an input, or a number, may stand for another size, and rules would
    believe it. The rank is believed where nothing else is known.
    """
    ranks = _forget_promises(model)
    elements.forget_declared(model)
    typed = inferred(model, follow=follow)
    elements.forget_inferred(typed)
    _forget_nothings(typed)
    for info, rank in zip(_outputs(typed), ranks, strict=True):
        if rank is not None and not info.type.tensor_type.HasField("shape"):
            info.type.tensor_type.shape.SetInParent()
            for _ in range(rank):
                info.type.tensor_type.shape.dim.add()
    return typed


def _forget_nothings(model: onnx.ModelProto) -> None:
    """Sizes of 0 become unknown, in place, where an Attention has them.

    onnx multiplies sizes there, and one that is not known counts as 0.
    """
    made = {o for n in walk.all_nodes(model) if n.op_type == "Attention" for o in n.output}
    if not made:
        return
    infos = [i for g in walk.graphs(model.graph) for i in (*g.value_info, *g.output)]
    nothing = {info.name for info in infos if any(_is_nothing(dim) for dim in _dims(info.type))}
    for info in infos if made & nothing else ():
        for dim in filter(_is_nothing, _dims(info.type)):
            dim.ClearField("dim_value")


def _is_nothing(dim: onnx.TensorShapeProto.Dimension) -> bool:
    return dim.HasField("dim_value") and dim.dim_value == 0


def _forget_promises(model: onnx.ModelProto) -> list[int | None]:
    """Take away the declared shapes of all outputs, in place; their ranks.

    An output that is an input or an initializer handed on has the shape of that: what onnx is told
    of it replaces what it knows.
    """
    ranks = []
    for graph in walk.graphs(model.graph):
        known = {
            tensor.name: helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
            for tensor in graph.initializer
        }
        known |= {info.name: info.type for info in graph.input}
        for info in graph.output:
            kind = info.type.tensor_type if info.type.HasField("tensor_type") else None
            shaped = kind is not None and kind.HasField("shape")
            ranks.append(len(kind.shape.dim) if kind is not None and shaped else None)
            if info.name in known:
                info.type.CopyFrom(known[info.name])
            elif kind is not None:
                kind.ClearField("shape")
    return ranks


def _outputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    return [info for graph in walk.graphs(model.graph) for info in graph.output]


def inferred(model: onnx.ModelProto, *, follow: bool = True) -> onnx.ModelProto:
    """onnx's strict inference, which has nothing to say about a few operators: see `_LIKE`.

    Args:
        model: the model.
        follow: whether numbers that shapes are computed of are followed.
    """
    like = arithmetic.computed(model)
    unknown = {
        place: onnx.NodeProto.FromString(node.SerializeToString())
        for place, node in enumerate(walk.all_nodes(model))
        if place in like or (node.domain, node.op_type) in _LIKE
    }
    like |= {
        place: _LIKE[n.domain, n.op_type](n) for place, n in unknown.items() if place not in like
    }
    try:
        typed = onnx.shape_inference.infer_shapes(
            _exchanged(model, like), check_type=True, strict_mode=True, data_prop=follow
        )
    finally:
        _exchanged(model, unknown)
    return _exchanged(typed, unknown)


def _exchanged(model: onnx.ModelProto, nodes: Mapping[int, onnx.NodeProto]) -> onnx.ModelProto:
    """The model with other nodes in some places of `walk.all_nodes`, in place."""
    if nodes:
        for place, node in enumerate(walk.all_nodes(model)):
            if place in nodes:
                node.CopyFrom(nodes[place])
    return model


def _sized(node: onnx.NodeProto) -> onnx.NodeProto:
    if len(node.input) < 3 or not node.input[2]:
        return node
    return helper.make_node("Reshape", [node.input[0], node.input[2]], node.output, node.name)


def _same(node: onnx.NodeProto) -> onnx.NodeProto:
    return helper.make_node("Identity", node.input[:1], node.output, node.name)


# Operators for whose outputs onnx infers no rank, and a node that is shaped like them.
_LIKE: Mapping[tuple[str, str], Callable[[onnx.NodeProto], onnx.NodeProto]] = {
    ("", "GroupNormalization"): _same,
    ("", "MaxUnpool"): _sized,
}


# Attributes whose defaults onnx's inference fails on or, for a one-sided STFT, gets wrong.
_DEFAULTS = {"MeanVarianceNormalization": ("axes", [0, 2, 3]), "STFT": ("onesided", 1)}


def _spell_out_defaults(model: onnx.ModelProto) -> set[str]:
    """Write down defaults that onnx's inference overlooks; the operators that had them."""
    spelled = set()
    for node in walk.all_nodes(model):
        if node.op_type in _DEFAULTS and not node.domain:
            name, value = _DEFAULTS[node.op_type]
            if name not in {attribute.name for attribute in node.attribute}:
                node.attribute.append(helper.make_attribute(name, value))
                spelled.add(node.op_type)
    return spelled
