"""External data: tensors whose bytes lie in files that were uploaded beside the model.

A location is only ever a key into those files. Nothing here joins it to a path.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from portgrad.errors import InvalidNet
from portgrad.graph import walk
from portgrad.graph.files import Source
from portgrad.graph.nearest import listed, offer

_DIGITS = 20  # more than any file's size has
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class ExternalData:
    """The uploaded external-data files of one net, mapped into memory when first read."""

    def __init__(self, files: Mapping[str, Source]) -> None:
        self._files = files
        self._opened: dict[str, Bytes] = {}

    def read(self, tensor: onnx.TensorProto, called: str) -> Bytes:
        """The bytes of an external tensor, not copied.

        Raises:
            InvalidNet: `external_data_outside`, `external_data_missing`, `external_data_invalid`.
        """
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        _check_location(location, called)
        if location not in self._files:
            raise self._missing(location, called)
        data = self._open(location)
        wanted = _byte_count(tensor, called)
        offset = _number(entries, "offset", 0, called)
        length = _number(entries, "length", wanted, called)
        if length != wanted or offset + length > data.size:
            raise InvalidNet(
                f"The tensor `{called}` does not fit the external data it points to.",
                code="external_data_invalid",
                where=f"tensor `{called}`, location `{location}`",
                expected=f"{wanted} bytes within a file of {data.size}",
                found=f"{length} bytes from offset {offset}",
                remedy="Upload the external-data files that were saved together with this model.",
            )
        return data[offset : offset + length]

    def check_all_used(self, used: Iterable[str]) -> None:
        """Refuse files that the model never mentions: they would give one net several ids."""
        mentioned = sorted(set(used))
        unused = sorted(set(self._files) - set(mentioned))
        if unused:
            raise InvalidNet(
                f"The model mentions no external data called `{unused[0]}`.",
                code="external_data_unused",
                where=", ".join(f"`{name}`" for name in unused),
                expected=f"the files that the model's tensors point to: {listed(mentioned)}"
                if mentioned
                else "no external data, as the model holds all of its tensors itself",
                remedy=offer(unused[0], mentioned)
                or "Leave these files out, or name them exactly as the model does.",
            )

    def _open(self, location: str) -> Bytes:
        if location not in self._opened:
            source = self._files[location]
            if isinstance(source, bytes):
                opened = np.frombuffer(source, np.uint8)
            elif source.stat().st_size == 0:  # an empty file cannot be mapped
                opened = np.empty(0, np.uint8)
            else:
                opened = np.memmap(source, np.uint8, mode="r")
            self._opened[location] = opened
        return self._opened[location]

    def _missing(self, location: str, called: str) -> InvalidNet:
        uploaded = ", ".join(f"`{name}`" for name in sorted(self._files)) or "none"
        return InvalidNet(
            f"The external data `{location}` of the tensor `{called}` was not uploaded.",
            code="external_data_missing",
            where=f"tensor `{called}`",
            expected=f"an external-data file called `{location}`",
            found=uploaded,
            remedy="Upload that file together with the model, under exactly this name.",
        )


def locations(model: onnx.ModelProto) -> set[str]:
    """The external-data files that a model mentions."""
    return {
        entry.value
        for _, tensor in walk.tensors(model)
        if is_external(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor's bytes lie outside the model file."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def embed(tensor: onnx.TensorProto, data: Bytes) -> None:
    """Turn an external tensor into one that carries its bytes itself."""
    tensor.raw_data = data.tobytes()
    tensor.ClearField("data_location")
    tensor.ClearField("external_data")


def _check_location(location: str, called: str) -> None:
    path, windows = PurePosixPath(location), PureWindowsPath(location)
    inside = not (path.is_absolute() or windows.drive or windows.root)
    if not location or not inside or ".." in windows.parts:
        raise InvalidNet(
            f"The tensor `{called}` points to external data outside of the upload.",
            code="external_data_outside",
            where=f"tensor `{called}`",
            expected="a relative location without `..`",
            found=f"`{location}`",
            remedy="Save the model again with its external data in the same folder.",
        )


def _byte_count(tensor: onnx.TensorProto, called: str) -> int:
    fixed_width = tensor.data_type not in {onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING}
    known = tensor.data_type in onnx.TensorProto.DataType.values()
    if not (fixed_width and known) or min(tensor.dims, default=0) < 0:
        raise InvalidNet(
            f"The tensor `{called}` has a type or shape that external data cannot hold.",
            code="external_data_invalid",
            where=f"tensor `{called}`",
            remedy="Export the net again with numbers in its external data.",
        )
    size: int = math.prod(tensor.dims)
    return -(-size * ir.DataType(tensor.data_type).bitwidth // 8)


def _number(entries: Mapping[str, str], key: str, default: int, called: str) -> int:
    text = entries.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
        raise InvalidNet(
            f"The {key} of the external tensor `{called}` is no number of bytes.",
            code="external_data_invalid",
            where=f"tensor `{called}`",
            expected="digits",
            found=f"`{text}`",
            remedy="Export the net again.",
        )
    return int(text)
