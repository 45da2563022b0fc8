"""onnx's own checks and passes at arm's length: what they raise becomes an InvalidNet.

They are C++ and raise many things, UnicodeDecodeError among them, so all is caught at this border.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

import onnx
import onnx_ir as ir

from portgrad.errors import InvalidNet, out_of_memory
from portgrad.graph import walk
from portgrad.graph.memory import ran_out
from portgrad.graph.size import check_name

T = TypeVar("T")

_NODE = (
    re.compile(r"Bad node spec for node\. Name: (?P<name>.*?) OpType: (?P<op>\w+)"),
    re.compile(r"op_type:\s?(?P<op>\w+)(?:, node name: (?P<name>[^)]*))?\)"),
)
_VALUES = (
    re.compile(r"tensor name: (?P<name>[^)]+)\)"),
    re.compile(r"(?:Nodes|Graph|Output|Input|Tensor)\b[^'\n]*'(?P<name>[^'\n]+)'"),
)
# Where onnx was built is nobody's business: "/some/path/checker.cc:123: ".
_SOURCE_LINE = re.compile(r"(?:[\w.:\\-]*[/\\])+[\w.-]+\.(?:cc|h|cpp)(?::\d+)?:?\s*")
_LONGEST = 400
_ELEMENTS = frozenset(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}


def guarded(
    run: Callable[[], T], model: onnx.ModelProto, *, code: str, what: str, remedy: str
) -> T:
    """The result of a pass over a model; whatever it raises, as InvalidNet with this code.

    Raises:
        RunFailed: `out_of_memory`, which says little of the net.
    """
    try:
        return run()
    except Exception as error:
        if ran_out(error):
            raise out_of_memory(blamed(str(error), model), tidy(str(error))) from None
        text = tidy(str(error))
        where = blamed(text, model)
        raise InvalidNet(what, code=code, where=where, found=text or None, remedy=remedy) from None


def read(model: onnx.ModelProto) -> ir.Model:
    """The model as a graph of objects.

    Raises:
        InvalidNet: `invalid_net`.
    """
    return guarded(
        lambda: ir.from_proto(model),
        model,
        code="invalid_net",
        what="The net holds something that cannot be read.",
        remedy="Export the net again; `onnx_ir.from_proto` repeats this step.",
    )


def check(model: onnx.ModelProto) -> None:
    """onnx's checker on a whole model.

    Raises:
        InvalidNet: `invalid_net`, naming node or value where the checker does.
    """
    ports = [*model.graph.input, *model.graph.output]
    for port in model.graph.input:
        _check_type(port)
    shapeless = [port.type.tensor_type for port in ports if _is_shapeless(port)]
    # The checker wants a rank for every port. Runtimes do not, so it sees one for the moment.
    for tensor in shapeless:
        tensor.shape.SetInParent()
    guarded(
        lambda: onnx.checker.check_model(model),
        model,
        code="invalid_net",
        what="The net breaks a rule of the ONNX format.",
        remedy="Export the net again; `onnx.checker.check_model` repeats this check.",
    )
    for tensor in shapeless:
        tensor.ClearField("shape")


def _check_type(port: onnx.ValueInfoProto) -> None:
    """Refuse a tensor of no element type that exists, which onnx's checker lets pass."""
    tensor = port.type.tensor_type
    if port.type.HasField("tensor_type") and tensor.elem_type not in _ELEMENTS:
        raise InvalidNet(
            f"The input port `{port.name}` has no element type.",
            code="invalid_net",
            where=f"`{port.name}`",
            found=str(tensor.elem_type),
            remedy="Export the net with the types of its ports.",
        )


def check_text(model: onnx.ModelProto) -> None:
    """Refuse texts that are no UTF-8: names, which protobuf hands out as bytes, and attributes.

    Raises:
        InvalidNet: `invalid_text`.
        LimitExceeded: `name_too_long`.
    """
    for text in _texts(model):
        if isinstance(text, str):
            check_name(text)
            continue
        raise InvalidNet(
            "A name in the net is no UTF-8 text.",
            code="invalid_text",
            found=ascii(text[:_LONGEST]),
            remedy="Export the net with names in UTF-8.",
        )
    for node in walk.all_nodes(model):
        for attribute in node.attribute:
            _check_attribute(node, attribute)


def _check_attribute(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> None:
    for text in (attribute.s, *attribute.strings):
        try:
            text.decode()
        except UnicodeDecodeError:
            raise InvalidNet(
                f"The attribute `{attribute.name}` of a node is no UTF-8 text.",
                code="invalid_text",
                where=f"node `{walk.called(node)}` ({node.op_type})",
                found=ascii(text[:_LONGEST]),
                remedy="Export the net with texts in UTF-8.",
            ) from None


def _texts(model: onnx.ModelProto) -> Iterator[str]:
    for owner in (model, *model.functions):
        yield from (entry.domain for entry in owner.opset_import)
    for function in model.functions:
        yield from (function.domain, function.name, function.overload, *function.attribute)
        yield from (*function.input, *function.output)
    for graph in walk.all_graphs(model):
        for port in (*graph.input, *graph.output, *graph.value_info):
            yield port.name
            yield from (dim.dim_param for dim in port.type.tensor_type.shape.dim)
    for node in walk.all_nodes(model):
        yield from (node.domain, node.op_type, node.overload, node.name)
        yield from (*node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)
    for name, tensor in walk.tensors(model):
        yield name
        yield from (text for entry in tensor.external_data for text in (entry.key, entry.value))


def _is_shapeless(port: onnx.ValueInfoProto) -> bool:
    return port.type.HasField("tensor_type") and not port.type.tensor_type.HasField("shape")


def blamed(text: str, model: onnx.ModelProto) -> str | None:
    """The node or value that a message of onnx's is about."""
    for pattern in _NODE:
        if found := pattern.search(text):
            return _node(found["op"], found["name"], model)
    values = [found for pattern in _VALUES if (found := pattern.search(text))]
    return f"`{values[0]['name']}`" if values else None


def _node(op_type: str, name: str | None, model: onnx.ModelProto) -> str:
    """A node as users call it; a message says nothing of one without a name but its operator."""
    if name:
        return f"node `{name}` ({op_type})"
    nameless = [n for n in walk.all_nodes(model) if n.op_type == op_type and not n.name]
    if len(nameless) == 1:
        return f"node `{walk.called(nameless[0])}` ({op_type})"
    return f"one of the {op_type} nodes without a name"


def tidy(text: str) -> str:
    """A message of onnx's on one line of bearable length, without source paths."""
    line = " ".join(_SOURCE_LINE.sub("", text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
