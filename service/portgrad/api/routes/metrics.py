"""What Prometheus scrapes."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from portgrad.api.auth.scopes import Scoped
from portgrad.api.openapi import health as docs
from portgrad.api.service import service_of

router = APIRouter(tags=["probes"], route_class=Scoped)


@router.get("/metrics", **docs.METRICS)
async def metrics(request: Request) -> Response:
    """Every metric of this replica."""
    service = service_of(request)
    text, media_type = await service.scrape.text(request.headers.get("accept", ""))
    return Response(text, headers={"content-type": media_type})
