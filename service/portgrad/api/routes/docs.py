"""The API's page, from Swagger UI's own files: it renders with no network but this service."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, HTMLResponse, Response
from swagger_ui_bundle import swagger_ui_path

from portgrad.api.auth.scopes import Scoped
from portgrad.errors import NotFound

router = APIRouter(include_in_schema=False, route_class=Scoped)

_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")

# Addresses are relative, so that the page works behind a proxy that adds a prefix. Without
# `validatorUrl: null` the page would show the document to a server of Swagger's.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Portgrad</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "openapi.json", dom_id: "#page", validatorUrl: null, deepLinking: true});
</script>
</body>
</html>
"""


@router.get("/docs")
async def page() -> Response:
    """The page."""
    return HTMLResponse(_PAGE)


@router.get("/docs/{asset}")
async def asset_of_page(asset: str) -> Response:
    """A file that the page loads."""
    if asset not in _ASSETS:
        raise NotFound(
            f"The API's page has no file {asset!r}.",
            code="no_such_route",
            expected=", ".join(_ASSETS),
            remedy="GET /docs shows the page.",
        )
    return FileResponse(Path(str(swagger_ui_path)) / asset)
