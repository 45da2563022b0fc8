"""Bodies of uploads: streamed from disk, counted for the progress callback."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import httpx

Source: TypeAlias = bytes | str | Path
External: TypeAlias = Mapping[str, Source] | Iterable[str | Path] | str | Path
# Called with the bytes sent so far and their total; a retry starts again at the first.
Progress: TypeAlias = Callable[[int, int], object]

OCTETS = "application/octet-stream"


@contextmanager
def body_of(model: Source, external: External | None) -> Iterator[Callable[[], dict[str, Any]]]:
    """A function that gives httpx the body from its first byte; the files stay open meanwhile."""
    with ExitStack() as files:
        opened = files.enter_context(_open(model))
        parts = [
            ("external", (location, files.enter_context(_open(source)), OCTETS))
            for location, source in _located(model, external).items()
        ]

        def rewound() -> dict[str, Any]:
            if parts:
                return {"files": [("model", ("model.onnx", opened, OCTETS)), *parts]}
            opened.seek(0)
            return {"content": opened, "headers": {"Content-Type": OCTETS}}

        yield rewound


def _open(source: Source) -> IO[bytes]:
    return Path(source).open("rb") if isinstance(source, str | Path) else io.BytesIO(source)


def _located(model: Source, external: External | None) -> Mapping[str, Source]:
    """Each external file by its location, as the model writes it."""
    if isinstance(external, Mapping):
        return external
    paths = [external] if isinstance(external, str | Path) else external or ()
    folder = Path(model).parent.resolve() if isinstance(model, str | Path) else None
    return {_location(Path(path), folder): Path(path) for path in paths}


def _location(path: Path, folder: Path | None) -> str:
    """The path from the model's folder where the file lies below it, else the file's name."""
    absolute = path.resolve()
    if folder is not None and absolute.is_relative_to(folder):
        return absolute.relative_to(folder).as_posix()
    return path.name


class Counted(httpx.SyncByteStream):
    """The body of a request, which tells how much of it was sent."""

    def __init__(self, request: httpx.Request, progress: Progress) -> None:
        assert isinstance(request.stream, httpx.SyncByteStream)
        self._stream = request.stream
        self._total = int(request.headers["Content-Length"])
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        for chunk in self._stream:
            yield chunk
            sent += len(chunk)
            self._progress(sent, self._total)
