"""The gradient as an ONNX file, made on the store's disk and streamed from there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from portgrad.api import queries
from portgrad.api.attended import Attended
from portgrad.api.auth import caller_of
from portgrad.api.auth.scopes import Scoped
from portgrad.api.middleware import Timed
from portgrad.api.openapi import files as docs
from portgrad.api.service import service_of
from portgrad.compute.jobs import Export
from portgrad.errors import InvalidRequest, NotFound
from portgrad.store import Scratch, disk_errors

router = APIRouter(tags=["nets"], route_class=Scoped)

GRAPH = "gradient.onnx"
LISTS = frozenset({"wrt", "of", "outputs"})
_ITEM = 'A name, or a path as a JSON list such as ["layer1","weight"]; may be repeated.'


class GradientQuery(BaseModel):
    """The query of a gradient's file: the fields of a gradient call, lists item by item."""

    model_config = ConfigDict(extra="forbid")

    wrt: list[str] = Field([], description=f'"inputs" (the default), "parameters", "all". {_ITEM}')
    of: list[str] = Field([], description=f"What is summed: all outputs where left out. {_ITEM}")
    outputs: list[str] = Field([], description=f"Outputs to give out too: true for all. {_ITEM}")
    seeds: bool = Field(False, description="Whether gradients are imposed, as inputs `seed/NAME`.")
    quantized: str | SkipJsonSchema[None] = Field(None, description="exact or straight_through.")
    external: str | SkipJsonSchema[None] = Field(
        None, description="The name of a second file for the weights; one file where left out."
    )
    location: str | SkipJsonSchema[None] = Field(
        None, description="That name again, for the second file; the graph where left out."
    )


@router.get("/nets/{net}/gradient.onnx", **docs.GRADIENT)
async def gradient_file(
    request: Request, net: str, query: Annotated[GradientQuery, Query()]
) -> Response:
    """The gradient of a net as a file of standard operators, or the file of its weights."""
    queries.once_but(request, LISTS)
    _check_external(query)
    service = service_of(request)
    found = await service.find(request, net)
    owner = caller_of(request).owner
    job = Export(found.net_id, found.files, _options(query), query.external, owner)
    scratch = await run_in_threadpool(service.shelf(request).scratch)
    try:
        with (
            disk_errors("write the gradient's file"),
            Timed(request, "compute"),
            Attended(request),
            Timed(request, "compile"),
        ):
            written = await service.compute.export(job, scratch.folder / GRAPH)
        path = _asked(written, query.location)
        facts = await run_in_threadpool(path.stat)
    except BaseException:
        await run_in_threadpool(scratch.release)
        raise
    return _Made(scratch, path, media_type="application/octet-stream", stat_result=facts)


class _Made(FileResponse):
    """A file that goes away once it is sent, or once the client is gone."""

    def __init__(self, scratch: Scratch, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._scratch = scratch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await run_in_threadpool(self._scratch.release)


def _options(query: GradientQuery) -> dict[str, Any]:
    asked = {"wrt": query.wrt, "of": query.of, "outputs": query.outputs}
    options: dict[str, Any] = {name: _items(items, name) for name, items in asked.items() if items}
    if query.outputs in (["true"], ["false"]):
        options["outputs"] = query.outputs == ["true"]
    elif isinstance(options.get("outputs"), str):
        options["outputs"] = [options["outputs"]]
    if query.quantized is not None:
        options["quantized"] = query.quantized
    return {**options, "seeds": query.seeds}


def _items(given: list[str], name: str) -> str | list[Any]:
    """A group or name alone as it is; names and paths as a list."""
    items = [_path(text, f"{name}[{i}]") if text.startswith("[") else text
             for i, text in enumerate(given)]  # fmt: skip
    return items[0] if len(items) == 1 and isinstance(items[0], str) else items


def _path(text: str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            "A path is no JSON.",
            code="invalid_field",
            where=where,
            expected='a list of strings, such as ["layer1","weight"]',
            found=text[:80],
            remedy="A name that begins with a bracket is written as a path of its own too.",
        ) from error


def _check_external(query: GradientQuery) -> None:
    """The second file is called as the graph says, beside which it lies."""
    name = query.external
    plain = name is None or (
        0 < len(name.encode()) <= 255
        and name.isprintable()
        and not {"/", "\\"} & set(name)
        and name not in {".", "..", GRAPH}
    )
    if not plain or (name is None and query.location is not None):
        raise InvalidRequest(
            "The second file of a gradient needs a name of its own.",
            code="invalid_field",
            where="external",
            expected="the name of a file, without folders",
            found=repr(name) if name is not None else "no name",
            remedy="Give one, such as `external=weights.data`, with and without `location`.",
        )


def _asked(written: list[Path], location: str | None) -> Path:
    if location is None:
        return written[0]
    found = next((path for path in written[1:] if path.name == location), None)
    if found is None:
        others = ", ".join(path.name for path in written[1:])
        raise NotFound(
            f"The gradient has no weights at {location!r}.",
            code="unknown_file",
            where="location",
            expected=others or "no second file: the weights are small, and lie in the graph",
            found=location,
            remedy="Leave `location` out for the graph.",
        )
    return found
