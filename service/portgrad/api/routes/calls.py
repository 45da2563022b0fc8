"""The calls on a net, in every combination of request and answer format."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from portgrad.api import bodies, bounds, queries
from portgrad.api.admission import Held
from portgrad.api.attended import Attended
from portgrad.api.auth import caller_of
from portgrad.api.auth.scopes import Direct
from portgrad.api.media import content_type, negotiate, refuse_encoding
from portgrad.api.middleware import Timed, timings
from portgrad.api.openapi import calls as docs
from portgrad.api.problems import UnsupportedMedia
from portgrad.api.service import service_of
from portgrad.codecs import json, npz, safetensors
from portgrad.codecs.guess import guess
from portgrad.codecs.model import Answer, Call, Codec, Description, Encoding, Kind
from portgrad.compute.jobs import Job
from portgrad.errors import InvalidRequest, Malformed
from portgrad.graph.nearest import offer
from portgrad.store import disk_errors

router = APIRouter(tags=["calls"], route_class=Direct)

CODECS: dict[str, Codec] = {
    codec.media_type: codec for codec in (json.CODEC, safetensors.CODEC, npz.CODEC)
}
# Below this a hop to a thread and back costs more than the work.
INLINE_BYTES = 64 * 1024
# Above this an answer is sent while it is written, where its format can be.
WHOLE_BYTES = 1024 * 1024


def _endpoint(kind: Kind) -> Callable[[Request, str], Awaitable[Response]]:
    async def endpoint(request: Request, net: str) -> Response:
        return await _call(request, net, kind)

    return endpoint


for _kind, _about in docs.CALLS.items():
    router.post(f"/nets/{{net}}/{_kind}", name=_kind, **_about)(_endpoint(_kind))


async def _call(request: Request, net: str, kind: Kind) -> Response:
    reader = _reader(request)
    offers = [reader.media_type, *(name for name in CODECS if name != reader.media_type)]
    writer = CODECS[negotiate(request.headers.get("accept"), offers)]
    query = await _options(request)
    answer, encoding = await _answer(request, net, kind, reader, query)
    return await _written(request, answer, kind, writer, encoding)


async def _answer(
    request: Request, net: str, kind: Kind, reader: Codec, query: str | None
) -> tuple[Answer, Encoding]:
    """What a worker finds, and how the call wants its arrays. Of the call nothing is kept."""
    service = service_of(request)
    found = await service.find(request, net)
    call, size = await _read(request, reader, query, kind, found.description)
    arrays: dict[str, Any] = dict(call.arrays)
    options = dict(call.options)
    job = Job(
        kind,
        found.net_id,
        found.files,
        call.data,
        **arrays,
        seconds=options.pop("deadline", None),
        options=options,
        owner=caller_of(request).owner,
        text_bytes=size,
    )
    with disk_errors("read the net"), Timed(request, "compute"), Attended(request):
        answer = await service.compute.call(job)
    timings(request).update(answer.timings)
    return answer, call.encoding


async def _written(
    request: Request, answer: Answer, kind: Kind, writer: Codec, encoding: Encoding
) -> Response:
    size = _size(answer)
    held: Held = request.state.held
    held.release()
    if writer.pieces is not None and size > WHOLE_BYTES:
        held.grow(size)
        pieces = writer.pieces(answer, kind, encoding)
        return StreamingResponse(pieces, media_type=writer.media_type)
    held.grow(2 * size)  # the arrays, and their text
    with Timed(request, "encode"):
        content = await _near(size, writer.encode, answer, kind, encoding)
    if len(content) <= WHOLE_BYTES:
        return Response(content, media_type=writer.media_type)
    told = {"Content-Length": str(len(content))}
    return StreamingResponse(_slices(content), headers=told, media_type=writer.media_type)


async def _slices(content: bytes) -> AsyncIterator[bytes]:
    """What is sent at once, a connection copies as a whole."""
    for start in range(0, len(content), WHOLE_BYTES):
        yield content[start : start + WHOLE_BYTES]


async def _read(
    request: Request, reader: Codec, query: str | None, kind: Kind, description: Description
) -> tuple[Call, int]:
    """The body decoded, and its size. What is not in the call is let go of."""
    settings = service_of(request).settings
    limits = {setting: getattr(settings, setting) for setting in ("max_body_bytes", reader.setting)}
    setting = min(limits, key=limits.__getitem__)
    body = await bodies.read(request, limits[setting], setting)
    allowed = bounds.bounds(settings, request.state.held.grow)
    with Timed(request, "decode"):
        size = INLINE_BYTES + 1 if reader.inflates else len(body)
        call: Call = await _near(size, _decode, reader, body, query, kind, description, allowed)
        allowed.check_call(call.data, call.arrays.values())
    return call, len(body)


def _decode(reader: Codec, body: bytes, *more: Any) -> Call:
    try:
        return reader.decode(body, *more)
    except Malformed as error:
        meant = guess(body)
        if meant not in {None, reader.media_type}:
            error.remedy = f"The body looks like {meant}: set the Content-Type that it has."
        raise


async def _near(size: int, work: Callable[..., Any], *args: Any) -> Any:
    """The work done here where it is small, else in a thread."""
    if size <= INLINE_BYTES:
        return work(*args)
    return await run_in_threadpool(work, *args)


def _size(answer: Answer) -> int:
    return sum(map(_bytes, (*answer.derivatives.values(), *answer.outputs.values())))


def _bytes(value: Any) -> int:
    """Those of an array, or of all that are in a sequence."""
    if isinstance(value, list):
        return INLINE_BYTES + sum(map(_bytes, value))
    return int(getattr(value, "nbytes", INLINE_BYTES + 1))


def _reader(request: Request) -> Codec:
    refuse_encoding(request)
    kind = content_type(request)
    if kind in CODECS:
        return CODECS[kind]
    raise UnsupportedMedia(
        "A call is not read in this format.",
        where="Content-Type",
        expected=", ".join(CODECS),
        found=kind or "no Content-Type",
        remedy="Set the header, with curl: -H 'Content-Type: application/json'.",
    )


async def _options(request: Request) -> str | None:
    await queries.each_once(request)
    query = request.query_params
    for name in query:
        if name != "options":
            raise InvalidRequest(
                f"A call has no query parameter {name!r}.",
                code="unknown_field",
                where=name,
                expected="options",
                remedy=offer(name, ["options"]) or "Put fields into the body or into `options`.",
            )
    return query.get("options")
