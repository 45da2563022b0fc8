"""The OpenAPI document: what FastAPI cannot know, because routes read and write bytes themselves.

It is OpenAPI 3.0, the newest that the bundled Swagger UI shows; so schemas say `nullable`.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from portgrad.api.openapi.access import tell_access
from portgrad.api.openapi.schemas import SCHEMAS

TAGS = [
    {"name": "nets", "description": "Upload, list, describe, remove and download nets."},
    {"name": "calls", "description": "Run a net, or differentiate it."},
    {"name": "operators", "description": "What has a gradient."},
    {"name": "probes", "description": "For load balancers."},
]
_VERSION = "3.0.3"


def install(app: FastAPI, *, asked: bool) -> None:
    """Complete the document of an application, where callers are `asked` who they are or not."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                summary=None,
                description=app.summary,
                openapi_version=_VERSION,
                routes=app.routes,
                tags=TAGS,
            )
            made.setdefault("components", {})["schemas"] = SCHEMAS
            _tell_nets(made)
            tell_access(made, asked=asked)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _tell_nets(document: dict[str, Any]) -> None:
    """Say what `net` is; the page fills in the sample net where trying a call harms nothing."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "net":
                    parameter["description"] = "The net's id, or one of its names."
                    if "calls" in operation["tags"]:
                        parameter["example"] = "chain"
