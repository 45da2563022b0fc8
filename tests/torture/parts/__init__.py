"""The parts of the torture, by name, in the order in which they are run.

Each is a module whose `run(plan)` yields rows as it finds them.
"""

from __future__ import annotations

PARTS = (
    "matrix",
    "fuzz",
    "crash",
    "tiny",
    "bombs",
    "kills",
    "durability",
    "mutants",
    "schema",
    "passes",
    "soak",
)
