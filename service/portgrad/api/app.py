"""The application: routes, problems and middleware over one store and one compute."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from portgrad.api import openapi, problems
from portgrad.api.admission import Admitted
from portgrad.api.auth.contradictions import refuse_contradictions
from portgrad.api.auth.guard import Guard
from portgrad.api.auth.scopes import Direct, check_table
from portgrad.api.middleware import Traced
from portgrad.api.routes import (
    calls,
    docs,
    files,
    health,
    metrics,
    nets,
    operators,
    quarantine,
)
from portgrad.api.service import Service
from portgrad.api.straight import Straight
from portgrad.api.telling.teller import Teller
from portgrad.compute.jobs import Compute
from portgrad.settings import Settings
from portgrad.store import NetStore

_ABOUT = """A gradient for every ONNX net, or the exact node that stands in the way.

Upload a net, send data, and get back the gradient of its outputs with respect to input ports,
learned parameters and inner values. Where `make run` started the service, the examples below can be
tried as they are."""

Application = FastAPI  # for those who may not import FastAPI


def drain(app: Application) -> None:
    """The service was asked to stop: it is not ready any more, and keeps no connections."""
    app.state.service.teller.draining = True


def create_app(store: NetStore, compute: Compute, settings: Settings) -> Application:
    """The HTTP face of a store and a compute, which it closes when it shuts down.

    Raises:
        PortgradError: `invalid_settings`, where settings contradict one another.
    """
    refuse_contradictions(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await compute.start()
        yield
        await compute.close()
        await teller.close()

    app = FastAPI(
        title="Portgrad",
        summary=_ABOUT,
        openapi_tags=openapi.TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        # What is told is in `telling`; FastAPI would tell addresses, and twice.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    teller = Teller(settings)
    service = app.state.service = Service(store, compute, settings, teller)
    # In order of how hot they are: the first router that fits ends the search.
    routers = [
        calls.router,
        files.router,
        nets.router,
        operators.router,
        quarantine.router,
        health.router,
        metrics.router,
        docs.router,
    ]
    for router in routers:
        app.router.routes += router.routes  # included, each request would look through it twice
    routes = check_table(route for router in routers for route in router.routes)
    problems.install(app, routes)
    app.add_middleware(Straight, routes=[one for one in routes if isinstance(one, Direct)])
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Admitted, admission=service.admission)
    app.add_middleware(Traced, teller=teller)  # the last is the first to see a request
    openapi.install(app, asked=settings.auth == "required")
    return app
