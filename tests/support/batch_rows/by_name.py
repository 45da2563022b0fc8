"""Rows that differ in the name of the operator alone."""

from __future__ import annotations


def by_name(ops: str, text: str) -> list[tuple[str, str, int]]:
    """A row for each operator, with its name in the place of OP."""
    return [(op, text.replace("OP", op), 0) for op in ops.split()]
