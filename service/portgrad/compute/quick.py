"""Calls that take less than the way to a worker and back: which they are, by what they took before.

Where several of them wait, a worker gets them in one message. That saves each of them most of what
it costs beside its run: messages, wake-ups, and caches that another process has filled meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from portgrad.codecs import formats
from portgrad.codecs.model import Answer
from portgrad.compute.blocks import Block
from portgrad.compute.jobs import Ready, Unread

# All of one message take no longer than this, in seconds, if they take what the last one took.
_TOGETHER = 0.002
_MOST = 16
# Larger ones cost more to copy than they save.
MOST_BYTES, _LARGE = 32 * 1024, 4 * 1024
_KEPT = 1000


def key_of(job: Unread) -> tuple[Hashable, ...]:
    """What calls have in common that may go together."""
    return ("in turn", job.net_id, job.kind, job.media_type, job.query, job.accept)


class Quick:
    """What calls took that may be quick. Of others nothing is kept."""

    def __init__(self) -> None:
        self._took: OrderedDict[Hashable, float] = OrderedDict()

    def most(self, job: Unread) -> int:
        """How many like this one may go to a worker together."""
        if not _may_be(job):
            return 1
        took = self._took.get(key_of(job), _TOGETHER)
        return min(_MOST, int(_TOGETHER / max(took, 1e-6)))

    def note(self, job: Unread, answer: Answer | Ready) -> None:
        """A call was answered."""
        if not _may_be(job):
            return
        key, timings = key_of(job), answer.timings
        took = sum(timings.get(stage, 0.0) for stage in ("compile", "decode", "run", "encode"))
        small = isinstance(answer, Ready) and len(answer.body) <= _LARGE
        self._took[key] = took if small else _TOGETHER
        self._took.move_to_end(key)
        if len(self._took) > _KEPT:
            self._took.popitem(last=False)


def _may_be(job: Unread) -> bool:
    """Whether a call is small, and no more than it looks."""
    if isinstance(job.body, Block) or len(job.body) > _LARGE:
        return False
    return not formats.CODECS[job.media_type].inflates
