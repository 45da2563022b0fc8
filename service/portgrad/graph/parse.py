"""Bytes to protobuf. What is no ONNX file is told apart from one that lost its end."""

from __future__ import annotations

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from portgrad.errors import InvalidNet, out_of_memory
from portgrad.graph.files import Source
from portgrad.graph.size import DEPTH, too_deep

# Protobuf's own limit: neither Python nor C++ reads a larger message.
LARGEST = 2**31 - 1
# Enough to tell an archive, a page of HTML or the pointer that Git LFS leaves in place of a file.
_SHOWN = 24

_VARINT, _SIXTY_FOUR, _LENGTH, _THIRTY_TWO = 0, 1, 2, 5
_WIRE_TYPE_OF_FIELD = {
    1: _VARINT,  # ir_version
    2: _LENGTH,  # producer_name
    3: _LENGTH,  # producer_version
    4: _LENGTH,  # domain
    5: _VARINT,  # model_version
    6: _LENGTH,  # doc_string
    7: _LENGTH,  # graph
    8: _LENGTH,  # opset_import
    14: _LENGTH,  # metadata_props
    20: _LENGTH,  # training_info
    25: _LENGTH,  # functions
    26: _LENGTH,  # configuration
}


def parse(source: Source) -> onnx.ModelProto:
    """The model in some bytes or in a file.

    Raises:
        LimitExceeded: `subgraphs_too_deep`.
        RunFailed: `out_of_memory`.
        InvalidNet: `empty_file`, `truncated`, `not_onnx`, `no_graph`, `no_outputs` or
            `model_too_large`.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    if not data:
        raise InvalidNet(
            "The model file is empty.", code="empty_file", remedy="Upload the ONNX file itself."
        )
    if len(data) > LARGEST:
        raise _too_large(len(data))
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        if "Depth" in str(error):  # a hundred messages in one another, a subgraph being three
            raise too_deep(DEPTH, "more than 30") from None
        if "Memory" in str(error) or "alloc" in str(error):
            raise out_of_memory() from None
        raise (_truncated(data) if is_cut_short(data) else _not_onnx(data)) from None
    if not model.HasField("graph"):
        raise _without_graph(model, data)
    if not model.graph.output:
        raise _without_outputs()
    return model


def is_cut_short(data: bytes) -> bool:
    """Whether bytes begin as an ONNX model does and end inside one of its fields."""
    position, fields = 0, 0
    while position < len(data):
        tag, position = _varint(data, position)
        if _WIRE_TYPE_OF_FIELD.get(tag >> 3) != tag & 7:
            return False
        value, position = _varint(data, position)
        position += value if tag & 7 == _LENGTH else 0
        fields += 1
    # One field alone may be chance: text that happens to begin like a long string.
    return position > len(data) and fields > 1


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number in base 128, least digit first, and where it ends; past the end if cut short."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            return value, len(data) + 1
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return value, position


def _truncated(data: bytes) -> InvalidNet:
    return InvalidNet(
        "The file begins as an ONNX model and ends in the middle of it.",
        code="truncated",
        found=f"{len(data)} bytes",
        remedy="Upload it again in full: compare its size with the original's.",
    )


def _not_onnx(data: bytes) -> InvalidNet:
    return InvalidNet(
        "These bytes are no ONNX model, or a damaged one.",
        code="not_onnx",
        expected="an ONNX model, which is a protobuf message",
        found=f"{len(data)} bytes that begin with {data[:_SHOWN]!a}",
        remedy="Export the net to ONNX (.onnx) and upload that file as it is, not compressed.",
    )


def _without_graph(model: onnx.ModelProto, data: bytes) -> InvalidNet:
    if not model.ir_version:
        return _not_onnx(data)
    return InvalidNet(
        "The ONNX model has no graph.",
        code="no_graph",
        remedy="Export the net again: the file holds a header alone.",
    )


def _without_outputs() -> InvalidNet:
    return InvalidNet(
        "The net has no output ports.",
        code="no_outputs",
        expected="at least one graph output",
        remedy="Export the net again with the values that it is to compute as outputs.",
    )


def _too_large(size: int) -> InvalidNet:
    return InvalidNet(
        "The model file is larger than protobuf allows.",
        code="model_too_large",
        expected=f"at most {LARGEST} bytes",
        found=f"{size} bytes",
        remedy="Save the weights as external data and upload those files beside the model.",
    )
