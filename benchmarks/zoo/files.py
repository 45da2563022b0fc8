"""The nets as files, exported once and kept until torch or the zoo changes."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from benchmarks.apart import apart


def exported(name: str, folder: Path) -> Path:
    """The file of that net. The exporter runs in a process of its own: it leaves much behind."""
    path = folder / "zoo" / f"{name}-{_state()}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        apart(_export, name, path)
    return path


def _export(name: str, path: Path) -> None:
    from benchmarks.zoo import ZOO  # noqa: PLC0415 (torch, in this process alone)

    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(ZOO[name].model)
    unfinished.rename(path)


def _state() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    text = version("torch").encode() + b"".join(path.read_bytes() for path in sources)
    return hashlib.sha256(text).hexdigest()[:8]
