"""Nets: upload, list, describe, remove, download."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from portgrad.api import queries, uploads
from portgrad.api.attended import Attended
from portgrad.api.auth import audit, caller_of, scopes
from portgrad.api.auth.scopes import Scoped
from portgrad.api.openapi import nets as docs
from portgrad.api.service import described, service_of
from portgrad.api.telling.record import note_net
from portgrad.codecs.model import Description
from portgrad.compute.jobs import Inspection
from portgrad.errors import Conflict, InvalidRequest, NotFound, StoreFailed
from portgrad.graph.files import NetFiles, Source
from portgrad.graph.nearest import offer
from portgrad.store import Shelf, Upload, check_name, disk_errors, is_id

log = logging.getLogger("portgrad.api")

router = APIRouter(tags=["nets"], dependencies=[Depends(queries.each_once)], route_class=Scoped)

_SUMMARY = ("id", "names", "shared", "batchable", "bytes", "inputs", "outputs")


class UploadQuery(BaseModel):
    """The query of an upload."""

    model_config = ConfigDict(extra="forbid")

    name: str | SkipJsonSchema[None] = Field(None, description="A name for the net.")
    replace: bool = Field(False, description="Move the name if it is taken by another net.")
    shared: bool = Field(False, description="Let every caller use the net, by its id.")
    batchable: bool | SkipJsonSchema[None] = Field(
        None,
        description="Run calls of yours that wait together, as one batch; refused for a net whose "
        "examples may meet. `false` takes it back.",
    )


class PageQuery(BaseModel):
    """The query of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=1000, description="The most nets in one answer.")
    after: str | SkipJsonSchema[None] = Field(None, description="`next` of the page before.")


class DeleteQuery(BaseModel):
    """The query of a removal."""

    model_config = ConfigDict(extra="forbid")

    everyone: bool = Field(
        False, description="Take the net away from all of its owners. For admins; by its id."
    )


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
    shelf = service.shelf(request)
    if query.name is not None:
        check_name(query.name)
    upload = await run_in_threadpool(shelf.begin)
    async with contextmanager_in_threadpool(upload):
        await uploads.receive(request, upload, service.settings)
        net_id = upload.net_id
        note_net(net_id)
        if query.name is not None and not query.replace:
            await run_in_threadpool(_refuse_taken, shelf, query.name, net_id)
        created = await _keep(request, shelf, upload, batchable=bool(query.batchable))
    answer, named = await run_in_threadpool(_kept, shelf, net_id, query)
    _tell_upload(request, net_id, query, created=created, named=named)
    return _json(answer, 201 if created else 200, {"Location": f"/nets/{net_id}"})


def _refuse_taken(shelf: Shelf, name: str, net_id: str) -> None:
    """Refuse before anything is kept; `bind` decides again, for two uploads at once."""
    try:
        taken = shelf.resolve(name)
    except NotFound:
        return
    if taken != net_id:
        raise Conflict(
            f"The name {name!r} belongs to another net; nothing was stored.",
            where=name,
            found=f"the net {taken}",
            remedy="Choose another name, or move this one: `?replace=true`, or `--replace`.",
        )


async def _keep(request: Request, shelf: Shelf, upload: Upload, *, batchable: bool) -> bool:
    """Commit what was uploaded, unless the caller has it already; whether it is new.

    What only others have is inspected all the same: an answer that came sooner would tell of them.
    """
    has = await run_in_threadpool(_has, shelf, upload)
    if has and not batchable:
        return False
    owner = caller_of(request).owner
    job = Inspection(upload.net_id, upload.files, owner, batchable=batchable)
    with disk_errors("read the net"), Attended(request):
        description = await service_of(request).compute.inspect(job)
    return not has and await run_in_threadpool(_commit, shelf, upload, description)


def _has(shelf: Shelf, upload: Upload) -> bool:
    """Whether the caller has the net. If not, there must be room for it."""
    if shelf.has(upload.net_id):
        return True
    shelf.afford(upload)
    return False


def _commit(shelf: Shelf, upload: Upload, description: Description) -> bool:
    facts = {"bytes": upload.size, "external": sorted(upload.files.external)}
    return shelf.commit(upload, {**description, **facts})


def _kept(shelf: Shelf, net_id: str, query: UploadQuery) -> tuple[dict[str, Any], bool]:
    """Do what else was asked for; what describes the net, and whether a name changed."""
    if query.shared:
        shelf.share(net_id, True)
    if query.batchable is not None:
        shelf.declare(net_id, query.batchable)
    named = query.name is not None and shelf.bind(query.name, net_id, query.replace)
    return described(shelf, net_id), named


def _tell_upload(
    request: Request, net_id: str, query: UploadQuery, *, created: bool, named: bool
) -> None:
    if created:
        audit.done(request, "net_uploaded", net=net_id)
    if named:
        audit.done(request, "name_given", net=net_id, net_name=query.name)
    if query.shared:
        audit.done(request, "net_shared", net=net_id)


@router.get("/nets", **docs.LIST)
async def list_nets(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """Nets in order of id, a page at a time."""
    shelf = service_of(request).shelf(request)
    return _json(await run_in_threadpool(_page, shelf, query.after, query.limit))


def _page(shelf: Shelf, after: str | None, limit: int) -> dict[str, Any]:
    ids, following = shelf.page(after, limit)
    nets = []
    for net_id in ids:
        # A net that somebody removed in the meantime is none of the list.
        with suppress(NotFound), _around_damage(net_id):
            net = described(shelf, net_id)
            nets.append({key: net[key] for key in _SUMMARY})
    return {"nets": nets, "next": following}


@contextmanager
def _around_damage(net_id: str) -> Iterator[None]:
    """Leave a net that cannot be described out of a list that is about others too."""
    try:
        yield
    except StoreFailed as error:
        if error.code != "store_damaged":
            raise
        log.warning("The net %s is damaged, and not on the list of nets.", net_id)


@router.get("/nets/{net}", **docs.DESCRIBE)
async def describe_net(request: Request, net: str) -> Response:
    """Ports and parameters, and what of them is differentiable."""
    shelf = service_of(request).shelf(request)
    answer = await run_in_threadpool(described, shelf, net)
    note_net(answer["id"])
    return _json(answer)


@router.delete("/nets/{net}", **docs.DELETE)
async def delete_net(
    request: Request, net: str, query: Annotated[DeleteQuery, Query()]
) -> Response:
    """Remove a name, or by its id a net with all its names."""
    service = service_of(request)
    shelf = service.shelf(request)
    if query.everyone:
        scopes.demand(request, "admin")
    if is_id(net):
        gone = await run_in_threadpool(shelf.delete, net, everyone=query.everyone)
        note_net(net)
        if gone:
            await service.compute.forget(net)
            service.teller.metrics.busy.forget(net)
        whose = "everyone" if query.everyone else None
        audit.done(request, "net_removed", net=net, whose=whose)
    elif query.everyone:
        raise _needs_id(net)
    else:
        await run_in_threadpool(shelf.unbind, net)
        audit.done(request, "name_removed", net_name=net)
    return Response(status_code=204)


def _needs_id(name: str) -> InvalidRequest:
    return InvalidRequest(
        "A net is taken away from everyone by its id.",
        code="invalid_field",
        where="everyone",
        found=f"the name {name[:80]!r}",
        remedy="Write the net's id, or leave `everyone` out to remove the name.",
    )


@router.put("/nets/{net}/shared", **docs.SHARE)
async def share_net(request: Request, net: str) -> Response:
    """Let every caller use a net, by its id. Its names stay its owner's."""
    return await _share(request, net, True)


@router.delete("/nets/{net}/shared", **docs.UNSHARE)
async def unshare_net(request: Request, net: str) -> Response:
    """Keep a net to its owner."""
    return await _share(request, net, False)


async def _share(request: Request, net: str, shared: bool) -> Response:
    shelf = service_of(request).shelf(request)
    net_id = await run_in_threadpool(_set_shared, shelf, net, shared)
    audit.done(request, "net_shared" if shared else "net_unshared", net=net_id)
    return Response(status_code=204)


def _set_shared(shelf: Shelf, ref: str, shared: bool) -> str:
    net_id = shelf.resolve(ref)
    shelf.share(net_id, shared)
    return net_id


@router.get("/nets/{net}/model", **docs.DOWNLOAD)
async def download_net(
    request: Request, net: str, query: Annotated[FileQuery, Query()]
) -> Response:
    """The bytes that were uploaded: the model, or one of its external-data files."""
    found = await service_of(request).find(request, net)
    source = _source(found.files, query.location)
    if isinstance(source, bytes):
        return Response(source, media_type="application/octet-stream")
    try:
        facts = await run_in_threadpool(source.stat)
    except FileNotFoundError:
        await service_of(request).find(request, net)  # says that it was removed meanwhile
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
