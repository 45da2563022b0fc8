"""One net as it arrives: its files written to a private folder and hashed on the way.

    model.onnx
    external/0, external/1 …      in order of arrival; locations are in the manifest alone
    manifest.json                 hashes, and the location of each external file
    description.json              what the net was committed with
    owners/<key>/                 whose it is: see `owners`

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
from portgrad.graph.files import NetFiles, net_id, sha256
from portgrad.store.disk import disk_errors, sync_tree
from portgrad.store.locations import check_location
from portgrad.store.quota import Allowance
from portgrad.store.staging import Scratch

MODEL = "model.onnx"
EXTERNAL = "external"
MANIFEST = "manifest.json"
DESCRIPTION = "description.json"
OWNERS = "owners"
# Exporters write at most one file a tensor; beyond this an upload is after the disk's inodes.
MOST_FILES = 10_000


class Upload:
    """The files of one net, in a folder that goes away unless a store keeps it.

    Files are written one after the other: all of one, then all of the next.
    """

    def __init__(self, scratch: Scratch, allowance: Allowance) -> None:
        self._scratch = scratch
        self._allowance = allowance
        self._model: str | None = None
        self._external: dict[str, str] = {}
        self._spellings: set[str] = set()
        self._location: str | None = None
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None
        self._size = 0
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
    def size(self) -> int:
        """The bytes of all files."""
        return self._size

    @property
    def files(self) -> NetFiles:
        """Where the files are, from when this is closed until it is committed or left."""
        self._checked()
        return files_in(self.folder, list(self._external))

    def write(self, location: str | None, chunk: bytes) -> None:
        """Append to the model (None) or to the external-data file of that location.

        Raises:
            InvalidRequest: `invalid_location`.
            LimitExceeded: `too_many_files`, `quota_exceeded`.
            StoreFailed: `store_full`, `store_unavailable`.
        """
        if self._closed:
            raise RuntimeError("The upload is closed.")
        self._allowance.take(len(chunk))
        with disk_errors("write what was uploaded"):
            if self._file is None or location != self._location:
                self._file = self._start(location)
            self._file.write(chunk)
        self._hash.update(chunk)
        self._size += len(chunk)

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

    def seal(self, description: Mapping[str, Any], owner: str) -> None:
        """Add manifest, description and the key of its owner, and see all of it to the disk."""
        text = json.dumps(dict(description)).encode()
        manifest = {
            "model": self._checked(),
            "external": list(self._external.items()),
            "description": sha256(text),
        }
        (self.folder / MANIFEST).write_bytes(json.dumps(manifest).encode())
        (self.folder / DESCRIPTION).write_bytes(text)
        (self.folder / OWNERS / owner).mkdir(parents=True)
        sync_tree(self.folder)

    def repair(self, folder: Path) -> None:
        """Put the sealed files in place of those of a damaged net, the same net, one by one.

        Whoever reads it meanwhile finds it damaged, as it was.
        """
        (folder / EXTERNAL).mkdir(exist_ok=True)
        external = [f"{EXTERNAL}/{index}" for index in range(len(self._external))]
        for file in (*external, MODEL, DESCRIPTION, MANIFEST):
            (self.folder / file).replace(folder / file)
        sync_tree(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            # What is still buffered is on its way out; a full disk must not keep it from that.
            with suppress(OSError):
                self._file.close()
        self._scratch.release()
        self._allowance.release()

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
