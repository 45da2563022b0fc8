"""A compute with one real worker, for tests of what needs a net that runs."""

from __future__ import annotations

import tempfile
from typing import Any

from portgrad.compute.config import PoolConfig, WorkerConfig
from portgrad.compute.pool import WorkerCompute


def computing(*, pool: dict[str, Any] | None = None, **worker: Any) -> WorkerCompute:
    """Workers of one thread, kept as `pool` says: one of them, unless it says otherwise."""
    kept = PoolConfig(**{"workers": 1, "spare": 0, **(pool or {})})
    readable = (tempfile.gettempdir(),)  # where tests keep their nets
    return WorkerCompute(WorkerConfig(**{"threads": 1, "readable": readable, **worker}), kept)
