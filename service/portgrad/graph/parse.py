"""Bytes to protobuf. What is no ONNX file is told apart from one that lost its end."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from portgrad.errors import InvalidNet, out_of_memory
from portgrad.graph import wire
from portgrad.graph.files import Source
from portgrad.graph.size import DEPTH, too_deep

# Protobuf's own limit: neither Python nor C++ reads a larger message.
LARGEST = 2**31 - 1
# Enough to tell an archive, a page of HTML or the pointer that Git LFS leaves in place of a file.
_SHOWN = 24

_KIND_OF_FIELD = {
    1: wire.VARINT,  # ir_version
    2: wire.LENGTH,  # producer_name
    3: wire.LENGTH,  # producer_version
    4: wire.LENGTH,  # domain
    5: wire.VARINT,  # model_version
    6: wire.LENGTH,  # doc_string
    7: wire.LENGTH,  # graph
    8: wire.LENGTH,  # opset_import
    14: wire.LENGTH,  # metadata_props
    20: wire.LENGTH,  # training_info
    25: wire.LENGTH,  # functions
    26: wire.LENGTH,  # configuration
}


def parse(source: Source, large: int) -> tuple[onnx.ModelProto, Mapping[int, memoryview]]:
    """The model in some bytes or in a file.

    Args:
        source: the bytes or the file.
        large: of more bytes than that, `raw_data` of the graph's initializers may be left out.

    Returns:
        The model, and what was left out of it, by the place of the initializer.

    Raises:
        LimitExceeded: `subgraphs_too_deep`.
        RunFailed: `out_of_memory`.
        InvalidNet: `empty_file`, `truncated`, `not_onnx`, `no_graph`, `no_outputs` or
            `model_too_large`.
    """
    data = source if isinstance(source, bytes) else _opened(source)
    if not data:
        raise InvalidNet(
            "The model file is empty.", code="empty_file", remedy="Upload the ONNX file itself."
        )
    if len(data) > LARGEST:
        raise _too_large(len(data))
    rest, left_out = wire.cut(data, large)
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(rest)
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
    return model, left_out


def _opened(path: Path) -> wire.Data:
    """What a file holds: a large one is mapped, so that tensors are copied out of it alone."""
    with path.open("rb") as file:
        large = os.fstat(file.fileno()).st_size >= wire.WORTH
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if large else file.read()


def is_cut_short(data: wire.Data) -> bool:
    """Whether bytes begin as an ONNX model does and end inside one of its fields."""
    count, end = 0, 0
    for field in wire.fields(data, 0, len(data)):
        if _KIND_OF_FIELD.get(field.number) != field.kind:
            return False
        count, end = count + 1, field.end
    # One field alone may be chance: text that happens to begin like a long string.
    return end > len(data) and count > 1


def _truncated(data: wire.Data) -> InvalidNet:
    return InvalidNet(
        "The file begins as an ONNX model and ends in the middle of it.",
        code="truncated",
        found=f"{len(data)} bytes",
        remedy="Upload it again in full: compare its size with the original's.",
    )


def _not_onnx(data: wire.Data) -> InvalidNet:
    return InvalidNet(
        "These bytes are no ONNX model, or a damaged one.",
        code="not_onnx",
        expected="an ONNX model, which is a protobuf message",
        found=f"{len(data)} bytes that begin with {data[:_SHOWN]!a}",
        remedy="Export the net to ONNX (.onnx) and upload that file as it is, not compressed.",
    )


def _without_graph(model: onnx.ModelProto, data: wire.Data) -> InvalidNet:
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
