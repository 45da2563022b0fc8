"""The bytes of one net, where they are and what identifies them. Nothing is parsed here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

Source = bytes | Path
_LONG = 2**20  # bytes from which on another thread is worth it


@dataclass(frozen=True)
class NetFiles:
    """A model and its external-data files.

    `external` maps each location, as the model writes it, to the bytes or the file that hold it.
    `known` is the net's id where somebody has found it before: hashing takes as long as reading.
    """

    model: Source
    external: Mapping[str, Source] = field(default_factory=dict)
    known: str | None = None

    def net_id(self) -> str:
        """The net's id: see `net_id`."""
        if self.known is not None:
            return self.known
        hashes = {location: sha256(source) for location, source in self.external.items()}
        return net_id(sha256(self.model), hashes)

    def finding_id(self) -> Callable[[], str]:
        """What waits for the id, which a thread finds meanwhile: hashing leaves Python free."""
        if self.known is not None or (isinstance(self.model, bytes) and len(self.model) < _LONG):
            return self.net_id
        pool = ThreadPoolExecutor(1)
        found = pool.submit(self.net_id)
        pool.shutdown(wait=False)
        return found.result


def net_id(model_hash: str, external_hashes: Mapping[str, str]) -> str:
    """SHA-256 (hex) of the canonical manifest of a net.

    The manifest is compact JSON in ASCII: the model file's hash, then `[location, hash]` of each
    external-data file in order of location.
    """
    manifest = [model_hash, *([name, external_hashes[name]] for name in sorted(external_hashes))]
    return hashlib.sha256(json.dumps(manifest, separators=(",", ":")).encode("ascii")).hexdigest()


def sha256(source: Source) -> str:
    """SHA-256 (hex) of bytes or of a file's contents."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
