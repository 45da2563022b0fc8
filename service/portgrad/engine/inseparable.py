"""Calls that are refused for their examples: these cannot be told, kept apart, or run alone."""

from __future__ import annotations

from collections.abc import Sequence

from portgrad.errors import InvalidRequest, NotBuilt


def no_examples(of: Sequence[str]) -> InvalidRequest:
    """The error for a net whose examples cannot be told."""
    return InvalidRequest(
        "The net has no example axis: no leading dimension that input ports and what is summed "
        "are known to share.",
        code="no_example_axis",
        where=", ".join(of),
        expected="a symbol that leads an input port and is in the shape of what is summed, or a "
        "leading 1",
        remedy="Name in `of` what has an entry for each example (the loss before its mean, say), "
        'say `batch: "each"` to run the examples one by one, or leave this option out.',
    )


def draws_together(reason: str) -> NotBuilt:
    """The error where the examples would draw otherwise, one by one, than together."""
    return NotBuilt(
        "The examples would have to run one by one, and draw other numbers than together, as they "
        f"do in all other calls: {reason}.",
        expected="a net that draws nothing, or gradients that are kept apart in one run",
        remedy="Ask for totals over the examples (a Jacobian of the whole arrays is had with "
        '`batch: "as_is"`), or for one example in each call.',
    )


def statistics_of_one() -> InvalidRequest:
    """The error for an example alone where statistics are those of its batch."""
    return InvalidRequest(
        "In train mode the net computes statistics over its batch, and here each example would run "
        "alone, as a batch of its own.",
        code="statistics_of_one",
        where="mode",
        expected="a net whose batch size is open, run as it is",
        remedy='Export the net with an open batch size, or use `mode: "test"`.',
    )


def examples_may_meet() -> InvalidRequest:
    """The error where a derivative for each example is asked for, and there may be none."""
    return InvalidRequest(
        "The structure of the net does not prove that its examples are kept apart, so there may "
        "be no derivative for each.",
        code="examples_may_meet",
        where="batch",
        expected="operators that keep the entries of the leading axis apart",
        remedy='Say `batch: "each"` to run the examples one by one, or `batch: "as_is"` (for '
        "Jacobians and Hessians) for derivatives across the whole arrays.",
    )


def drawn_together() -> NotBuilt:
    """The error for diagnostics, which look at one example after the other, of joint draws."""
    return NotBuilt(
        "Diagnostics look at the examples one by one here, and would draw other numbers than the "
        "gradients have seen.",
        where="diagnostics",
        expected="one example, or a net whose batch size is open",
        remedy="Leave `diagnostics` out, or send one example in each call.",
    )
