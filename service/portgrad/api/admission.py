"""What all requests together may be: how many at once, and how many bytes they hold.

Held are bodies of calls, what they unfold to, and answers until they are sent. Each request has a
share that nobody can take from it, and one owner no more than half, so that whoever sends or reads
large things slowly keeps no one else from small ones, nor all others from large ones.
"""

from __future__ import annotations

from collections import Counter
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
        held: bytes that are in memory for them.
    """

    def __init__(self, settings: Settings) -> None:
        self.requests = 0
        self.held = 0
        self._settings = settings
        self._share = settings.max_held_bytes // settings.max_requests
        # Without authentication there is one owner.
        halves = 1 if settings.auth == "none" else 2
        self._most_of_one = settings.max_held_bytes // halves
        self._of_owners: Counter[str] = Counter()
        self._lock = Lock()  # bodies are unfolded in threads

    @property
    def full(self) -> bool:
        """Whether there are as many requests as there may be."""
        return self.requests >= self._settings.max_requests

    def hold(self, size: int, already: int, owner: str) -> None:
        """Count bytes that are about to be held by one that holds some `already`.

        Raises:
            Busy: others, or others of this owner, hold too many for these to fit beside them.
        """
        with self._lock:
            if already + size > self._share:
                self._refuse(self.held, already, size, self._settings.max_held_bytes)
                self._refuse(self._of_owners[owner], already, size, self._most_of_one)
            self.held += size
            self._of_owners[owner] += size

    @staticmethod
    def _refuse(held: int, already: int, size: int, most: int) -> None:
        # What would fit in no case is held where it is alone: other limits decide about it.
        if held > already and held + size > most:
            raise Busy(
                "The service holds as many bytes of requests and answers as it may.",
                expected=f"at most {most} bytes of all together",
                remedy="Send the request again, or raise PORTGRAD_MAX_HELD_BYTES.",
            )

    def release(self, size: int, owner: str) -> None:
        """Count bytes that are held no longer."""
        with self._lock:
            self.held -= size
            self._of_owners[owner] -= size
            if not self._of_owners[owner]:
                del self._of_owners[owner]


class Held:
    """The bytes that one request holds.

    Attributes:
        owner: whose request it is; to be told before anything is held.
    """

    __slots__ = ("_admission", "owner", "size")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.owner = ""
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold so many more; raises Busy."""
        self._admission.hold(size, self.size, self.owner)
        self.size += size

    def reach(self, size: int) -> None:
        """Hold so many in all, if they are more than by now; raises Busy."""
        if size > self.size:
            self.grow(size - self.size)

    def release(self) -> None:
        """Let go of all of them."""
        if self.size:
            self._admission.release(self.size, self.owner)
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
