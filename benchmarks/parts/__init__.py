"""The parts of the benchmarks by name, in the order in which they are run.

Each is a module whose `rows(given)` yields rows as it finds them. It may have `summary(rows)` too:
what follows from all its rows, older ones of other nets among them. A word of GROUPS stands for
several parts.
"""

from __future__ import annotations

GROUPS: dict[str, tuple[str, ...]] = {
    "engine": ("agreement", "speed", "best", "memory", "start", "compiling"),
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
