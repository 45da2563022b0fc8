"""What a caller asks of a check, refused where it makes no sense or costs too much."""

from __future__ import annotations

from typing import Any

import numpy as np

from portgrad.engine.gradcheck.slopes import STEPS
from portgrad.errors import InvalidRequest, LimitExceeded

MOST_DIRECTIONS = 1000
MOST_EVALUATIONS = 100_000


def check_directions(given: Any) -> None:
    """Refuse what is no number of directions."""
    whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
    if not whole or not 1 <= given <= MOST_DIRECTIONS:
        raise InvalidRequest(
            "The field `directions` is no number of directions.",
            code="invalid_field",
            where="directions",
            expected=f"a whole number from 1 to {MOST_DIRECTIONS}",
            found=repr(given)[:80],
            remedy="Leave it out for 3.",
        )


def check_tolerance(given: Any) -> None:
    """Refuse what is no tolerance; None stands for the default."""
    number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
    if given is not None and not (number and 0 < given < 1):
        raise InvalidRequest(
            "The field `tolerance` is no tolerance.",
            code="invalid_field",
            where="tolerance",
            expected="a number between 0 and 1: how far, of the scale of what is compared, a "
            "gradient may be off",
            found=repr(given)[:80],
            remedy="Leave it out for 1e-6 in double precision, and more in coarser ones.",
        )


def check_count(lines: int) -> None:
    """Refuse a check that would evaluate the net too often."""
    most = 2 * STEPS * lines
    if most > MOST_EVALUATIONS:
        raise LimitExceeded(
            f"The check could evaluate the net {most} times, more than one call may.",
            code="too_many_evaluations",
            where="directions",
            expected=f"targets times directions of at most {MOST_EVALUATIONS // (2 * STEPS)}",
            found=str(lines),
            remedy="Ask for fewer targets or directions, in several calls.",
        )
