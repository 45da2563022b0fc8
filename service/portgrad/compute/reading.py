"""Bodies of calls read, and answers written: by the worker that runs them, nearly always.

To read or write many numbers as text keeps the interpreter, and all its threads, for as long as it
takes. What a worker does keeps nobody waiting but whoever asked for it. The HTTP process reads what
is small and may say how a call is to wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portgrad.codecs import formats, json, safetensors
from portgrad.codecs.model import Answer, Buffer, Format, Known
from portgrad.compute.jobs import Job, Unread

# What is not more than this is read and written by the HTTP process, at once.
SMALL = 64 * 1024
# And of a batchable net, whose calls run as one, where that is but to find the arrays in it.
MOST_BATCHED = 1024 * 1024
# Arrays of more than this are several times as much as text: those are written while they are sent.
MOST_TEXT = 64 * 1024 * 1024


def is_small(job: Unread, *, batchable: bool = False) -> bool:
    """Whether a body can be read in the HTTP process, and keeps nobody waiting there.

    Of a batchable net so are those whose arrays lie in them as they are, if they are not too large
    to go along with others: who they go with is decided here.
    """
    codec = formats.CODECS[job.media_type]
    most = SMALL if not batchable or not codec.flat else MOST_BATCHED
    return len(job.body) <= most and not codec.inflates


def tells_more(job: Unread) -> bool:
    """Whether a body may hold what is to be known before a worker has it, such as a deadline.

    Others are cheaper to read where their arrays are used than to hand on as arrays.
    """
    if job.query is not None or formats.CODECS[job.media_type].flat:
        return job.query is not None
    body = bytes(job.data())
    return b"deadline" in body or b"\\" in body  # with which it may be written as well


def shapes(job: Unread) -> Mapping[str, safetensors.Shape] | None:
    """Dtypes and shapes of its data, if it has nothing else, and the beginning of its body tells.

    Then nobody need read it before its worker does to know which calls it may go along with.
    """
    told = job.query is None and job.media_type == safetensors.MEDIA_TYPE
    if not told or len(job.body) > SMALL:
        return None
    found = safetensors.shapes(job.data(), job.bounds)
    return found if found and found.keys() <= {port["name"] for port in job.ports} else None


def hides_shapes(job: Unread) -> bool:
    """Whether a call on a batchable net has to be read to know which it may go along with."""
    return bool(job.ports) and shapes(job) is None


def read(job: Unread, known: Known) -> Job:
    """The call that a body holds, on a net with these names.

    Raises:
        InvalidRequest, LimitExceeded: what is wrong with it.
    """
    call = formats.read(
        formats.CODECS[job.media_type],
        job.data(),
        query=job.query,
        kind=job.kind,
        known=known,
        bounds=job.bounds,
    )
    arrays: dict[str, Any] = dict(call.arrays)
    options = dict(call.options)
    return Job(
        job.kind,
        job.net_id,
        job.files,
        call.data,
        **arrays,
        seconds=options.pop("deadline", None),
        options=options,
        owner=job.owner,
        answer_in=Format(job.accept, call.encoding),
        ports=job.ports,
    )


def write(job: Job, answer: Answer) -> list[Buffer] | None:
    """The answer's body, in pieces; None where it is for the HTTP process to write."""
    form, size = job.answer_in, formats.size_of(answer)
    if form is None:
        return None
    if form.media_type == json.MEDIA_TYPE and size > MOST_TEXT:
        return None
    return formats.write(answer, job.kind, form, size)
