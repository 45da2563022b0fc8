"""Nets: upload, list, describe, remove, download."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from portgrad.api import queries, uploads
from portgrad.api.openapi import nets as docs
from portgrad.api.service import Service, service_of
from portgrad.api.telling.record import note_net
from portgrad.compute.jobs import Description
from portgrad.errors import Conflict, NotFound
from portgrad.graph.files import NetFiles, Source
from portgrad.graph.nearest import offer
from portgrad.store import Upload, check_name, is_id

router = APIRouter(tags=["nets"], dependencies=[Depends(queries.each_once)])

_SUMMARY = ("id", "names", "bytes", "inputs", "outputs")


class UploadQuery(BaseModel):
    """The query of an upload."""

    model_config = ConfigDict(extra="forbid")

    name: str | SkipJsonSchema[None] = Field(None, description="A name for the net.")
    replace: bool = Field(False, description="Move the name if it is taken by another net.")


class PageQuery(BaseModel):
    """The query of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=1000, description="The most nets in one answer.")
    after: str | SkipJsonSchema[None] = Field(None, description="`next` of the page before.")


class FileQuery(BaseModel):
    """The query of a download."""

    model_config = ConfigDict(extra="forbid")

    location: str | SkipJsonSchema[None] = Field(
        None, description="An external-data file, by its location; the model where left out."
    )


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


@router.post("/nets", **docs.UPLOAD)
async def upload_net(request: Request, query: Annotated[UploadQuery, Query()]) -> Response:
    """Check a net and keep it, under a name where one is given."""
    service = service_of(request)
    if query.name is not None:
        check_name(query.name)
    upload = await run_in_threadpool(service.store.begin)
    async with contextmanager_in_threadpool(upload):
        await uploads.receive(request, upload, service.settings)
        net_id = upload.net_id
        note_net(net_id)
        if query.name is not None and not query.replace:
            await run_in_threadpool(_refuse_taken, service, query.name, net_id)
        created = await _keep(service, upload)
    if query.name is not None:
        await run_in_threadpool(service.store.bind, query.name, net_id, query.replace)
    described = await run_in_threadpool(service.described, net_id)
    return _json(described, 201 if created else 200, {"Location": f"/nets/{net_id}"})


def _refuse_taken(service: Service, name: str, net_id: str) -> None:
    """Refuse before anything is kept; `bind` decides again, for two uploads at once."""
    try:
        taken = service.store.resolve(name)
    except NotFound:
        return
    if taken != net_id:
        raise Conflict(
            f"The name {name!r} belongs to another net; nothing was stored.",
            where=name,
            found=f"the net {taken}",
            remedy="Choose another name, or move this one: `?replace=true`, or `--replace`.",
        )


async def _keep(service: Service, upload: Upload) -> bool:
    """Commit what was uploaded, unless it is here already; whether it is new."""
    if await run_in_threadpool(service.store.has, upload.net_id):
        return False
    description = await service.compute.inspect(upload.files)
    return await run_in_threadpool(_commit, service, upload, description)


def _commit(service: Service, upload: Upload, description: Description) -> bool:
    files = upload.files
    size = sum(_size(source) for source in (files.model, *files.external.values()))
    facts = {"bytes": size, "external": sorted(files.external)}
    return service.store.commit(upload, {**description, **facts})


def _size(source: Source) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


@router.get("/nets", **docs.LIST)
async def list_nets(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """Nets in order of id, a page at a time."""
    return _json(await run_in_threadpool(_page, service_of(request), query.after, query.limit))


def _page(service: Service, after: str | None, limit: int) -> dict[str, Any]:
    ids, following = service.store.page(after, limit)
    nets = []
    for net_id in ids:
        # A net that somebody removed in the meantime is none of the list.
        with suppress(NotFound):
            described = service.described(net_id)
            nets.append({key: described[key] for key in _SUMMARY})
    return {"nets": nets, "next": following}


@router.get("/nets/{net}", **docs.DESCRIBE)
async def describe_net(request: Request, net: str) -> Response:
    """Ports and parameters, and what of them is differentiable."""
    service = service_of(request)
    found = await service.find(net)
    return _json(await run_in_threadpool(service.described, found.net_id))


@router.delete("/nets/{net}", **docs.DELETE)
async def delete_net(request: Request, net: str) -> Response:
    """Remove a name, or by its id a net with all its names."""
    service = service_of(request)
    if is_id(net):
        await run_in_threadpool(service.store.delete, net)
        note_net(net)
        await service.compute.forget(net)
    else:
        await run_in_threadpool(service.store.unbind, net)
    return Response(status_code=204)


@router.get("/nets/{net}/model", **docs.DOWNLOAD)
async def download_net(
    request: Request, net: str, query: Annotated[FileQuery, Query()]
) -> Response:
    """The bytes that were uploaded: the model, or one of its external-data files."""
    found = await service_of(request).find(net)
    source = _source(found.files, query.location)
    if isinstance(source, bytes):
        return Response(source, media_type="application/octet-stream")
    try:
        facts = await run_in_threadpool(source.stat)
    except FileNotFoundError:
        await service_of(request).find(net)  # says that it was removed meanwhile
        raise
    return FileResponse(source, media_type="application/octet-stream", stat_result=facts)


def _source(files: NetFiles, location: str | None) -> Source:
    if location is None:
        return files.model
    if location in files.external:
        return files.external[location]
    raise NotFound(
        f"The net has no external data at {location!r}.",
        code="unknown_file",
        where="location",
        expected=", ".join(sorted(files.external)) or "no external data",
        found=location,
        remedy=offer(location, files.external) or "Leave `location` out to get the model.",
    )
