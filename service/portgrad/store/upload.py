"""One net as it arrives: its files written to a private folder and hashed on the way.

    model.onnx
    external/0, external/1 …      in order of arrival; locations are in the manifest alone
    manifest.json                 hashes, and the location of each external file
    description.json              what the net was committed with

Nothing here is visible to others until a store has moved the folder into place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

from portgrad.errors import InvalidRequest, LimitExceeded
from portgrad.graph.files import NetFiles, net_id
from portgrad.store.disk import disk_errors, sync_tree
from portgrad.store.locations import check_location
from portgrad.store.staging import Scratch

MODEL = "model.onnx"
EXTERNAL = "external"
MANIFEST = "manifest.json"
DESCRIPTION = "description.json"
# Exporters write at most one file a tensor; beyond this an upload is after the disk's inodes.
MOST_FILES = 10_000


class Upload:
    """The files of one net, in a folder that goes away unless a store keeps it.

    Files are written one after the other: all of one, then all of the next.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._model: str | None = None
        self._external: dict[str, str] = {}
        self._spellings: set[str] = set()
        self._location: str | None = None
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None
        self._closed = False

    @property
    def folder(self) -> Path:
        """The folder to move into place."""
        return self._scratch.folder

    @property
    def net_id(self) -> str:
        """The net's id, once closed."""
        return net_id(self._checked(), self._external)

    @property
    def files(self) -> NetFiles:
        """Where the files are, from when this is closed until it is committed or left."""
        self._checked()
        return files_in(self.folder, list(self._external))

    def write(self, location: str | None, chunk: bytes) -> None:
        """Append to the model (None) or to the external-data file of that location.

        Raises:
            InvalidRequest: `invalid_location`.
            LimitExceeded: `too_many_files`.
            StoreFailed: `store_full`, `store_unavailable`.
        """
        if self._closed:
            raise RuntimeError("The upload is closed.")
        with disk_errors("write what was uploaded"):
            if self._file is None or location != self._location:
                self._file = self._start(location)
            self._file.write(chunk)
        self._hash.update(chunk)

    def close(self) -> None:
        """End the last file. Raises InvalidRequest (`missing_model`) if there is no model."""
        with disk_errors("write what was uploaded"):
            self._end_file()
        if self._model is None:
            raise InvalidRequest(
                "The upload holds no model.",
                code="missing_model",
                expected="an ONNX file",
                remedy="Send the ONNX file itself, beside its external data.",
            )
        self._closed = True

    def seal(self, description: Mapping[str, Any]) -> None:
        """Add manifest and description, and see all of it to the disk."""
        manifest = {"model": self._checked(), "external": list(self._external.items())}
        _write_json(self.folder / MANIFEST, manifest)
        _write_json(self.folder / DESCRIPTION, dict(description))
        sync_tree(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            # What is still buffered is on its way out; a full disk must not keep it from that.
            with suppress(OSError):
                self._file.close()
        self._scratch.release()

    def _start(self, location: str | None) -> BinaryIO:
        self._end_file()
        self._check(location)
        self._location = location
        self._hash = hashlib.sha256()
        return self._path(location).open("xb")

    def _check(self, location: str | None) -> None:
        if location is None:
            if self._model is not None:
                raise InvalidRequest(
                    "The upload holds two models.",
                    code="invalid_location",
                    where="model",
                    expected="one ONNX file, written without a break",
                    remedy="Send each net in an upload of its own.",
                )
            return
        self._spellings.add(check_location(location, self._spellings))
        if len(self._external) >= MOST_FILES:
            raise LimitExceeded(
                "The upload has too many external-data files.",
                code="too_many_files",
                expected=f"at most {MOST_FILES}",
                remedy="Save the model with all of its external data in one file.",
            )

    def _path(self, location: str | None) -> Path:
        if location is None:
            return self.folder / MODEL
        external = self.folder / EXTERNAL
        external.mkdir(exist_ok=True)
        return external / str(len(self._external))

    def _end_file(self) -> None:
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._location is None:
            self._model = self._hash.hexdigest()
        else:
            self._external[self._location] = self._hash.hexdigest()

    def _checked(self) -> str:
        if not self._closed or self._model is None:
            raise RuntimeError("The upload is not closed yet.")
        return self._model


def files_in(folder: Path, locations: list[str]) -> NetFiles:
    """The files of a net's folder, given the locations in the order of their files."""
    external = {name: folder / EXTERNAL / str(index) for index, name in enumerate(locations)}
    return NetFiles(folder / MODEL, external)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
