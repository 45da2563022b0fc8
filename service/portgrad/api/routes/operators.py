"""Which operators have a gradient here."""

from __future__ import annotations

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from portgrad.api.auth.scopes import Scoped
from portgrad.api.openapi import operators as docs
from portgrad.api.service import service_of

router = APIRouter(tags=["operators"], route_class=Scoped)


@router.get("/operators", **docs.OPERATORS)
async def operators(request: Request) -> Response:
    """Every operator that is known, its versions, and what becomes of its gradient."""
    listed = await service_of(request).compute.operators()
    return Response(orjson.dumps({"operators": listed}), media_type="application/json")
