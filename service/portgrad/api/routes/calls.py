"""The calls on a net, in every combination of request and answer format."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack

from fastapi import APIRouter
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from portgrad.api import bodies, bounds, queries
from portgrad.api.admission import Held
from portgrad.api.attended import Attended
from portgrad.api.auth import caller_of
from portgrad.api.auth.scopes import Direct
from portgrad.api.media import content_type, header, negotiate, refuse_encoding
from portgrad.api.middleware import Timed, timings
from portgrad.api.openapi import calls as docs
from portgrad.api.problems import UnsupportedMedia
from portgrad.api.service import service_of
from portgrad.codecs import formats
from portgrad.codecs.formats import CODECS
from portgrad.codecs.model import Answer, Buffer, Codec, Kind
from portgrad.compute import reading
from portgrad.compute.blocks import Block
from portgrad.compute.jobs import Job, Ready, Unread
from portgrad.errors import InvalidRequest
from portgrad.graph.nearest import offer
from portgrad.store import disk_errors

router = APIRouter(tags=["calls"], route_class=Direct)

_SENT_AT_ONCE = 1024 * 1024


def _endpoint(kind: Kind) -> Callable[[Request, str], Awaitable[Response]]:
    async def endpoint(request: Request, net: str) -> Response:
        return await _call(request, net, kind)

    return endpoint


for _kind, _about in docs.CALLS.items():
    router.post(f"/nets/{{net}}/{_kind}", name=_kind, **_about)(_endpoint(_kind))


async def _call(request: Request, net: str, kind: Kind) -> Response:
    reader = _reader(request)
    offers = [reader.media_type, *(name for name in CODECS if name != reader.media_type)]
    writer = CODECS[negotiate(header(request, b"accept"), offers)]
    answer = await _answer(request, net, kind, reader, writer)
    return await _written(request, answer, kind, writer)


async def _answer(
    request: Request, net: str, kind: Kind, reader: Codec, writer: Codec
) -> Answer | Ready:
    """What a worker finds. Of the call nothing is kept."""
    query = await _options(request)
    service = service_of(request)
    found = await service.find(request, net)
    with ExitStack() as stack:
        body = await _body(request, reader, stack)
        unread = Unread(
            kind,
            found.net_id,
            found.files,
            body,
            reader.media_type,
            query,
            bounds.bounds(service.settings, request.state.held.grow),
            writer.media_type,
            caller_of(request).owner,
            ports=found.description["inputs"] if found.batchable else (),
        )
        job: Job | Unread = unread
        small = reading.is_small(unread, batchable=found.batchable)
        if small and (reading.tells_more(unread) or reading.hides_shapes(unread)):
            with Timed(request, "decode"):
                job = reading.read(unread, found.known)
        elif not small and reader.weigh is not None:
            await _hold(request, reader.weigh(unread.data(), unread.bounds))
        with disk_errors("read the net"), Timed(request, "compute"), Attended(request):
            answer = await service.compute.call(job)
    timings(request).update(answer.timings)
    return answer


async def _hold(request: Request, parts: Iterator[int]) -> None:
    """What a worker is about to make of a body counts here, too."""
    async for more in iterate_in_threadpool(parts):
        request.state.held.grow(more)


async def _written(request: Request, answer: Answer | Ready, kind: Kind, writer: Codec) -> Response:
    held: Held = request.state.held
    held.release()
    if isinstance(answer, Ready):
        held.grow(len(answer.body))
        return _whole(answer.body, writer)
    size = formats.size_of(answer)
    if size > reading.MOST_TEXT and writer.pieces is not None:
        held.grow(size)
        pieces = writer.pieces(answer, kind, answer.encoding)
        return StreamingResponse(pieces, media_type=writer.media_type)
    held.grow(2 * size)  # the arrays, and their text
    with Timed(request, "encode"):
        return _whole(writer.encode(answer, kind, answer.encoding), writer)


def _whole(content: Buffer, writer: Codec) -> Response:
    if len(content) <= _SENT_AT_ONCE:
        return Response(content, media_type=writer.media_type)
    told = {"Content-Length": str(len(content))}
    return StreamingResponse(_slices(content), headers=told, media_type=writer.media_type)


async def _slices(content: Buffer) -> AsyncIterator[Buffer]:
    """What is sent at once, a connection copies as a whole."""
    for start in range(0, len(content), _SENT_AT_ONCE):
        yield content[start : start + _SENT_AT_ONCE]


async def _body(request: Request, reader: Codec, stack: ExitStack) -> Buffer | Block:
    settings = service_of(request).settings
    limits = {setting: getattr(settings, setting) for setting in ("max_body_bytes", reader.setting)}
    setting = min(limits, key=limits.__getitem__)
    return await bodies.read(request, limits[setting], setting, stack)


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
    if not request.scope["query_string"]:
        return None
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
