"""What became of a job that got no answer from its worker, in words; and why a worker ended."""

from __future__ import annotations

import os
import signal

from portgrad.compute.line import Ticket
from portgrad.errors import Busy, DeadlineExceeded, InvalidRequest, PortgradError, RunFailed

# How a worker ended. One that was killed from outside says nothing about its job.
CRASHED, MEMORY, KILLED, DEADLINE = REASONS = ("crashed", "out_of_memory", "killed", "deadline")


def reason(status: int, *, short_of_memory: bool) -> str:
    """Why a worker ended, of its status as `os.waitpid` gives it."""
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) not in (signal.SIGKILL, signal.SIGTERM):
        return CRASHED
    return MEMORY if short_of_memory else KILLED


def too_long(ticket: Ticket) -> PortgradError:
    """The job took longer than it may."""
    return DeadlineExceeded(
        f"The call took longer than its {ticket.seconds:.3g} s.",
        where="deadline",
        expected=f"an answer within {ticket.seconds:.3g} s",
        remedy="Send fewer examples or ask for fewer targets at once, give a longer `deadline`, or "
        "run a service with a higher PORTGRAD_DEADLINE.",
    )


def compiled_too_long(seconds: float) -> PortgradError:
    """Opening the net and compiling took longer than they may."""
    return DeadlineExceeded(
        f"The net could not be opened and compiled within {seconds:.3g} s.",
        code="compile_too_long",
        expected=f"a net that opens and compiles within {seconds:.3g} s",
        remedy="Use a smaller net, or run a service with a higher PORTGRAD_COMPILE_SECONDS.",
    )


def never_begun(ticket: Ticket) -> PortgradError:
    """Its time was over before a worker was free."""
    return Busy(
        f"No worker was free within the {ticket.seconds:.3g} s of this call.",
        retry_after=2,
        expected="a worker that is free in time",
        remedy="Try again later, with fewer calls at once.",
    )


def no_memory() -> PortgradError:
    """There is no memory, or no descriptor, for the message that a job becomes."""
    return Busy(
        "There is no memory for this call at the moment.",
        retry_after=2,
        remedy="Try again later, with fewer or smaller calls at once.",
    )


def closing() -> PortgradError:
    """No job is begun any more."""
    return Busy(
        "The service is about to stop.",
        code="draining",
        remedy="Try again: another replica, or the next one in this place, will answer.",
    )


def line_full(most: int) -> PortgradError:
    """So many wait that nobody else may."""
    return Busy(
        "Too many calls wait already.",
        retry_after=2,
        expected=f"at most {most} calls that wait",
        remedy="Try again later, with fewer calls at once.",
    )


def too_deep() -> PortgradError:
    """Lists nest deeper than a message can."""
    return InvalidRequest(
        "Lists of this call are nested too deep.",
        code="ragged_array",
        where="data",
        expected="arrays of at most 64 dimensions",
        remedy="Send each array as nested lists of its own rank.",
    )


def too_large_number() -> PortgradError:
    """A list has an integer that no dtype holds."""
    return InvalidRequest(
        "Lists of this call hold an integer of more than 64 bits.",
        code="out_of_range",
        where="data",
        expected="integers from -2**63 to 2**64 - 1",
        remedy="Send it as a float, such as 1e30.",
    )


def died(how: str) -> PortgradError:
    """The job lost its worker, and another one too if it was tried again."""
    if how == KILLED:
        return Busy(
            "The processes that worked on this call were killed, twice.",
            code="worker_died",
            remedy="Try again: the call itself is not known to be at fault.",
        )
    if how == MEMORY:
        return RunFailed(
            "This call took all the memory that there is, and was ended.",
            code="out_of_memory",
            remedy="Send fewer examples at once or ask for fewer targets; it is not tried again.",
        )
    return RunFailed(
        "This call crashed the process that worked on it.",
        code="worker_crashed",
        remedy="Find out which data or operator crashes the runtime: evaluate the net with other "
        "data, or in parts. A net that goes on crashing is quarantined.",
    )
