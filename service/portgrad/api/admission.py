"""What all requests together may be: how many at once, and how many bytes of bodies they hold."""

from __future__ import annotations

from threading import Lock

from starlette.types import ASGIApp, Receive, Scope, Send

from portgrad.api.problems import Problem
from portgrad.errors import Busy
from portgrad.settings import Settings

# Who asks for these wants to know whether the service is busy.
ALWAYS = frozenset({"/healthz", "/readyz", "/metrics"})


class Admission:
    """Counts requests and held bytes of one application.

    Attributes:
        requests: those that are being answered.
        held: bytes of their bodies that are in memory, and of what these unfold to.
    """

    def __init__(self, settings: Settings) -> None:
        self.requests = 0
        self.held = 0
        self._settings = settings
        self._lock = Lock()  # bodies are unfolded in threads

    @property
    def full(self) -> bool:
        """Whether there are as many requests as there may be."""
        return self.requests >= self._settings.max_requests

    def hold(self, size: int, already: int) -> None:
        """Count bytes that are about to be held by one that holds some `already`.

        Raises:
            Busy: others hold too many for these to fit beside them.
        """
        most = self._settings.max_held_bytes
        with self._lock:
            # What would fit in no case is held where it is alone: other limits decide about it.
            if self.held > already and self.held + size > most:
                raise Busy(
                    "The service holds as many bytes of requests as it may.",
                    where="body",
                    expected=f"at most {most} bytes of all bodies together",
                    remedy="Send the request again, or raise PORTGRAD_MAX_HELD_BYTES.",
                )
            self.held += size

    def release(self, size: int) -> None:
        """Count bytes that are held no longer."""
        with self._lock:
            self.held -= size


class Held:
    """The bytes that one request holds."""

    __slots__ = ("_admission", "size")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold so many more; raises Busy."""
        self._admission.hold(size, self.size)
        self.size += size

    def reach(self, size: int) -> None:
        """Hold so many in all, if they are more than by now; raises Busy."""
        if size > self.size:
            self.grow(size - self.size)

    def release(self) -> None:
        """Let go of all of them."""
        if self.size:
            self._admission.release(self.size)
            self.size = 0


class Admitted:
    """Pure ASGI middleware: no more requests at once than there may be, each with its `held`."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self.app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope["state"]
        if self._admission.full and scope["path"] not in ALWAYS:
            await Problem(_busy(), state["request_id"])(scope, receive, send)
            return
        held = state["held"] = Held(self._admission)
        self._admission.requests += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._admission.requests -= 1
            held.release()


def _busy() -> Busy:
    return Busy(
        "The service answers as many requests as it may.",
        remedy="Send the request again, or raise PORTGRAD_MAX_REQUESTS.",
    )
