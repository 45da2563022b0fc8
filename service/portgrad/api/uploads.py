"""An upload as it streams to the store: raw ONNX bytes, or multipart with external data.

The body is never held whole: chunks are gathered to `_GATHER` bytes, and each batch is parsed and
written in a thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from portgrad.api import bodies
from portgrad.api.media import content_type, refuse_encoding
from portgrad.api.problems import UnsupportedMedia
from portgrad.errors import InvalidRequest, Malformed
from portgrad.settings import Settings
from portgrad.store import Upload

RAW_TYPES = ("application/octet-stream", "application/x-onnx", "application/x-protobuf")
MULTIPART = "multipart/form-data"
_GATHER = 1024 * 1024


async def receive(request: Request, upload: Upload, settings: Settings) -> None:
    """Write the body of the request to the upload and close it."""
    refuse_encoding(request)
    kind = content_type(request)
    chunks = bodies.stream(request, settings.max_upload_bytes, "max_upload_bytes")
    if kind == MULTIPART:
        form = Form(request.headers["content-type"], upload)
        await _pour(chunks, form.write)
        form.finish()
    elif kind is None or kind in RAW_TYPES:
        await _pour(chunks, lambda chunk: upload.write(None, chunk))
    else:
        raise UnsupportedMedia(
            "A net is not uploaded in this format.",
            where="Content-Type",
            expected=", ".join((*RAW_TYPES, MULTIPART)),
            found=kind,
            remedy="Send the bytes of the ONNX file as application/octet-stream.",
        )
    await run_in_threadpool(upload.close)


async def _pour(chunks: AsyncIterator[bytes], write: Callable[[bytes], object]) -> None:
    gathered: list[bytes] = []
    size = 0
    async for chunk in chunks:
        gathered.append(chunk)
        size += len(chunk)
        if size >= _GATHER:
            await run_in_threadpool(write, b"".join(gathered))
            gathered, size = [], 0
    await run_in_threadpool(write, b"".join(gathered))


class Form:
    """A multipart body: one part `model`, and parts `external` whose file name is the location."""

    def __init__(self, header: str, upload: Upload) -> None:
        boundary = parse_options_header(header)[1].get(b"boundary")
        if not boundary:
            raise _invalid("its Content-Type names no boundary")
        self._upload = upload
        self._location: str | None = None
        self._seen: set[str | None] = set()
        self._ended = False
        self._field = b""
        self._value = b""
        self._disposition = b""
        try:
            self._parser = _parser(self, boundary)
        except FormParserError as error:  # the boundary is longer than one may be
            raise _invalid(str(error)) from error

    def write(self, chunk: bytes) -> None:
        """Parse a chunk, and write what it holds of files."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _invalid(str(error)) from error

    def finish(self) -> None:
        """Refuse a body that broke off, or had no model."""
        if not self._ended:
            raise _invalid("it breaks off before its last boundary")
        if None not in self._seen:
            raise InvalidRequest(
                "The form has no part named `model`.",
                code="missing_field",
                where="model",
                remedy="Send the ONNX file as the part `model`: curl -F model=@net.onnx.",
            )

    def on_part_begin(self) -> None:
        """A part starts."""
        self._disposition = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """A piece of a header's name."""
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """A piece of a header's value."""
        self._value += data[start:end]

    def on_header_end(self) -> None:
        """A header is whole."""
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def on_headers_finished(self) -> None:
        """The part's name is known: choose the file that its bytes go to."""
        options = parse_options_header(self._disposition)[1]
        name = options.get(b"name", b"").decode("utf-8", "replace")
        self._location = _location(name, options.get(b"filename"))
        if self._location in self._seen:
            raise _invalid(f"it has {self._location or 'the model'!r} twice")
        self._seen.add(self._location)
        # A file without bytes is a file all the same.
        self._upload.write(self._location, b"")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """A piece of a file."""
        self._upload.write(self._location, data[start:end])

    def on_end(self) -> None:
        """The last boundary was read."""
        self._ended = True


def _parser(form: Form, boundary: bytes) -> MultipartParser:
    return MultipartParser(
        boundary,
        {
            "on_part_begin": form.on_part_begin,
            "on_header_field": form.on_header_field,
            "on_header_value": form.on_header_value,
            "on_header_end": form.on_header_end,
            "on_headers_finished": form.on_headers_finished,
            "on_part_data": form.on_part_data,
            "on_end": form.on_end,
        },
    )


def _location(name: str, filename: bytes | None) -> str | None:
    """Where a part's bytes belong: None for the model, else the external data's location."""
    if name == "model":
        return None
    if name != "external":
        raise InvalidRequest(
            f"An upload has no part {name!r}.",
            code="unknown_field",
            where=name,
            expected="model, external",
            remedy="Name parts with external data `external`, with the location as file name.",
        )
    if not filename:
        raise InvalidRequest(
            "A part `external` has no file name.",
            code="missing_field",
            where="external",
            expected="the location, as the model writes it, as file name",
            remedy="With curl: -F 'external=@weights.bin;filename=weights.bin'.",
        )
    try:
        return filename.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid("a file name in it is not UTF-8") from error


def _invalid(what: str) -> Malformed:
    return Malformed(
        f"The multipart body is not right: {what}.",
        code="invalid_multipart",
        where="body",
        remedy="Send multipart/form-data with the part `model`: curl -F model=@net.onnx.",
    )
