"""Arrays in files and on the command line."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from portgrad.errors import InvalidRequest

Array = np.ndarray[Any, Any]


def read(given: str) -> Any:
    """Arrays by name, or one bare array: from a .npy, .npz or .json file, or from JSON text.

    Raises:
        InvalidRequest: `unreadable_data`.
    """
    path = Path(given)
    if path.suffix in {".npy", ".npz"}:
        return _numpy(path)
    if path.suffix == ".json":
        return json_text(_text(path), given)
    return json_text(given, "data")


def read_given(option: str | None) -> Any:
    """The arrays of an option, None where it was not given."""
    return None if option is None else read(option)


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays to an .npz file."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def json_text(text: str, where: str) -> Any:
    """JSON as Python values."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _unreadable(where, str(error)) from error


def _numpy(path: Path) -> Any:
    try:
        loaded = np.load(path, allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else dict(loaded.items())
    except (OSError, ValueError) as error:
        raise _unreadable(str(path), str(error)) from error


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise _unreadable(str(path), error.strerror or str(error)) from error


def _unreadable(where: str, found: str) -> InvalidRequest:
    return InvalidRequest(
        "The data cannot be read.",
        code="unreadable_data",
        where=where,
        expected="a .npy, .npz or .json file, or JSON such as [[1, 2, 3]]",
        found=found,
    )
