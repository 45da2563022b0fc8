"""Probes: alive at all, and able to take requests."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from portgrad.api.auth.scopes import Scoped
from portgrad.api.openapi import health as docs
from portgrad.api.service import service_of

router = APIRouter(tags=["probes"], route_class=Scoped)


@router.get("/healthz", **docs.HEALTHZ)
async def healthz() -> Response:
    """The process runs. Touches no disk and waits for nothing."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", **docs.READYZ)
async def readyz(request: Request) -> Response:
    """Calls can be taken."""
    parts = await service_of(request).readiness.check()
    return JSONResponse({"status": "ready", **parts.plain()})
