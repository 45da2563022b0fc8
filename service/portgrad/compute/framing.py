"""Jobs become frames: at once where they are small, off the event loop where they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np

from portgrad.compute import ends, frames
from portgrad.compute.blocks import Block
from portgrad.compute.jobs import Export, Inspection, Job, Unread

Asked = Job | Unread | Export | Inspection

# A message of more bytes is packed off the event loop.
_LARGE = 256 * 1024


async def framed(message: dict[str, Any], files: tuple[int, ...], bytes_: int) -> frames.Frame:
    """A message of about so many bytes as a frame.

    Raises:
        InvalidRequest: `ragged_array`, `out_of_range`: it holds what no message can.
        Busy: there is no memory for it.
    """
    try:
        if bytes_ <= _LARGE:
            return frames.pack(message, files)
        making = asyncio.get_running_loop().run_in_executor(None, frames.pack, message, files)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_drop)
            raise
    except RecursionError:
        raise ends.too_deep() from None
    except OverflowError:
        raise ends.too_large_number() from None
    except OSError as error:
        raise ends.no_memory() from error


def _drop(framed: asyncio.Future[frames.Frame]) -> None:
    """Nobody waits for a frame any more that a thread has made."""
    if framed.exception() is None:
        framed.result().release()


def size(job: Asked | None) -> int:
    """About how many bytes a job is as a message; lists are not counted, which are small here."""
    if isinstance(job, Unread):
        copied = not isinstance(job.body, Block) and len(job.body) > frames.MOST_FOLLOWING
        return len(job.body) if copied else 0
    if not isinstance(job, Job):
        return 0
    held = (job.data, job.output_gradients, job.parameters, job.tangents)
    values = (v for one in held for v in (one.values() if isinstance(one, Mapping) else [one]))
    return sum(v.nbytes for v in values if isinstance(v, np.ndarray))
