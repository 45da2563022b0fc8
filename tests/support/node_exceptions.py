"""Node cases whose gradient does not agree with differences, or not in every operand, and why."""

from __future__ import annotations

# The outcome and the reason, by case.
EXCEPTIONS: dict[str, tuple[str, str]] = {}
