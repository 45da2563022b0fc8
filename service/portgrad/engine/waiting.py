"""How the threads of a run wait for work that they share.

Most operators of a gradient are shared out, and between two of them there is little to do. A thread
that went to sleep meanwhile is woken for every one, which takes as long as a small operator. So it
looks for work for a while first, but never after its run.

What that takes another process would have had: where each core has a worker, threads sleep at once.
Figures are in docs/decisions/0020-compile-and-recurrence.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnxruntime as ort

_LOOKING = {
    "session.intra_op.allow_spinning": "1",
    "session.intra_op.spin_duration_us": "200",
    "session.force_spinning_stop": "1",
}
_ASLEEP = {"session.intra_op.allow_spinning": "0"}


@dataclass
class _Way:
    entries: Mapping[str, str]


_way = _Way(_LOOKING)


def asleep() -> None:
    """Have the threads of sessions that are made from now on sleep as soon as they have no work."""
    _way.entries = _ASLEEP


def share_out(options: ort.SessionOptions, threads: int) -> None:
    """Have a session's runs use so many threads; 0 is one for each core."""
    options.intra_op_num_threads = threads
    for key, value in _way.entries.items():
        options.add_session_config_entry(key, value)
