"""The parts of the benchmarks by name, in the order in which they are run.

Each is a module whose `rows(given)` yields rows as it finds them. It may have `summary(rows)` too:
what follows from all its rows, older ones of other nets among them. A word of GROUPS stands for
several parts.
"""

from __future__ import annotations

import ast
from pathlib import Path

GROUPS: dict[str, tuple[str, ...]] = {
    "engine": ("agreement", "speed", "best", "derivatives", "memory", "start", "compiling"),
    "service": (
        "service_calls",
        "service_large",
        "service_crowd",
        "service_batching",
        "service_health",
        "service_nets",
    ),
    "peers": ("peers",),
}
PARTS = tuple(part for group in GROUPS.values() for part in group)


def says(part: str) -> str:
    """The part's own first lines: read, for its packages need not be here."""
    source = Path(__file__).with_name(f"{part}.py")
    return ast.get_docstring(ast.parse(source.read_text())) or ""
