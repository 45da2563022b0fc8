"""Nets that crashed too many workers: which they are, and the operator's way out."""

from __future__ import annotations

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from portgrad.api.auth import audit
from portgrad.api.auth.scopes import Scoped
from portgrad.api.openapi import quarantine as docs
from portgrad.api.service import service_of
from portgrad.errors import NotFound

router = APIRouter(tags=["operators"], route_class=Scoped)


@router.get("/quarantine", **docs.LIST)
async def quarantine(request: Request) -> Response:
    """The nets that this replica does not run for now, because they crashed its workers."""
    listed = service_of(request).compute.quarantined()
    return Response(orjson.dumps({"nets": listed}), media_type="application/json")


@router.delete("/quarantine/{net_id}", **docs.RELEASE)
async def release(request: Request, net_id: str) -> Response:
    """Let a net be run again at once."""
    if not service_of(request).compute.release(net_id):
        raise NotFound(
            "This net is in no quarantine here.",
            code="not_quarantined",
            where=net_id[:80],
            expected="the id of a net that GET /quarantine lists",
            remedy="Each replica has a quarantine of its own: ask the one that refused the net.",
        )
    audit.done(request, "net_released", net=net_id)
    return Response(status_code=204)
