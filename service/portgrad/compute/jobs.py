"""What crosses the seam between HTTP and engine: plain data in, plain data or a coded error out.

`api` builds a Job and awaits a Compute; it never sees a net. A Compute may run threads or
processes: whatever it does, errors come back as `portgrad.errors.PortgradError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from portgrad.codecs.bounds import Bounds
from portgrad.codecs.model import Answer, ArrayLike, Buffer, Description, Format, Kind, Seed
from portgrad.compute.blocks import Block
from portgrad.compute.stats import PoolStats
from portgrad.graph.files import NetFiles


@dataclass(frozen=True)
class Job:
    """One call on one net.

    Args:
        kind: what is asked.
        net_id: the id of the net, the key of every cache.
        files: where its bytes are.
        data: one array for each input port, or a bare array for a net with one port.
        output_gradients: what is imposed, by output or inner value.
        parameters: arrays that stand in for parameters in this call, by parameter.
        tangents: directions, by input port, parameter or inner value.
        options: the other fields of the request, as they came: `wrt`, `of`, `outputs`, `batch` and
            so on.
        owner: who asks. Owners take turns where calls have to wait.
        seconds: how long it may take, waiting included; None for the default.
        answer_in: how an answer that is large is to be written; None for arrays in any case.
        ports: the input ports of a net that is declared batchable, as its description has them:
            the call may share a run with others. Empty for any other net.
    """

    kind: Kind
    net_id: str
    files: NetFiles
    data: Mapping[str, ArrayLike] | ArrayLike
    output_gradients: Mapping[str, Seed] = field(default_factory=dict)
    parameters: Mapping[str, ArrayLike] = field(default_factory=dict)
    tangents: Mapping[str, ArrayLike] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    seconds: float | None = None
    answer_in: Format | None = None
    ports: Sequence[Mapping[str, Any]] = ()


class Unread(NamedTuple):
    """One call on one net whose body nobody has read: the worker that does it reads it there.

    Attributes:
        kind: what is asked.
        net_id: the id of the net.
        files: where its bytes are.
        body: the call, in its format; what is sealed already travels as it is.
        media_type: that of the body.
        query: the query parameter `options`, if there is one.
        bounds: what the call may be. A worker holds to all of them but `hold`.
        accept: the media type of the answer.
        owner: who asks.
        seconds: how long it may take; its own `deadline` counts once it is read.
        ports: as `Job` has them.
    """

    kind: Kind
    net_id: str
    files: NetFiles
    body: Buffer | Block
    media_type: str
    query: str | None
    bounds: Bounds
    accept: str
    owner: str = ""
    seconds: float | None = None
    ports: Sequence[Mapping[str, Any]] = ()

    def data(self) -> Buffer:
        """The bytes of the body."""
        return self.body.data() if isinstance(self.body, Block) else self.body


@dataclass(frozen=True)
class Ready:
    """An answer as it goes out.

    Args:
        body: in the format that was asked for.
        timings: seconds by stage.
    """

    body: Buffer
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Export:
    """A gradient that is to become an ONNX file.

    Args:
        net_id: the id of the net.
        files: where its bytes are.
        options: `wrt`, `of`, `outputs`, `seeds` and `quantized`, as a net takes them.
        external: the name of a second file, which gets the weights; None for one file.
        owner: who asks.
    """

    net_id: str
    files: NetFiles
    options: Mapping[str, Any] = field(default_factory=dict)
    external: str | None = None
    owner: str = ""


@dataclass(frozen=True)
class Inspection:
    """A net that is to be checked and described.

    Args:
        net_id: the id of the net.
        files: where its bytes are.
        owner: who asks.
        batchable: whether calls are to share runs, so that its examples must not meet.
    """

    net_id: str
    files: NetFiles
    owner: str = ""
    batchable: bool = False


class Compute(Protocol):
    """Runs jobs somewhere off the event loop.

    Raises, from every job:
        DeadlineExceeded: `deadline_exceeded`, `compile_too_long`.
        Busy: too many wait already, or the job's worker died twice; later it may succeed.
        Quarantined: the net has crashed too many workers.
        OSError: as it comes from the disk that holds the net.
    """

    async def start(self) -> None:
        """Begin to get ready. Jobs may be given at once: they wait."""

    async def inspect(self, job: Inspection) -> Description:
        """Check a net and describe it; raises InvalidNet where it cannot be served.

        InvalidRequest, `not_batchable`, where it is to be batchable and cannot.
        """

    async def call(self, job: Job | Unread) -> Answer | Ready:
        """Whatever the job asks, and the outputs that were asked for.

        What was unread is answered ready, and where an answer is large, so is every job that says
        how: unless its text would be so large that it is better written while it is sent.
        """

    async def export(self, job: Export, path: Path) -> list[Path]:
        """Write a gradient's file, and beside it that of its weights if any; what was written."""

    async def operators(self) -> list[Description]:
        """Every operator with its versions and what becomes of its gradient."""

    async def forget(self, net_id: str) -> None:
        """Drop what is cached of a net."""

    def quarantined(self) -> list[Description]:
        """The nets that are in quarantine: `net`, `owner`, `crashes` and the `seconds` left."""

    def release(self, net_id: str) -> bool:
        """Take a net out of quarantine; whether it was in it."""

    def stats(self) -> PoolStats:
        """How it does. Waits for nothing; called on the event loop."""

    async def close(self) -> None:
        """Finish what runs and let go of threads or processes."""
