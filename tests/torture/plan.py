"""What a run of the torture was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Plan:
    """How long, and where.

    Args:
        folder: an empty folder for data and logs.
        minutes: about how long each part may take; None for its full length.
        seed: makes the choices of one run those of another.
        only: a part of the names of the bombs that are thrown.
    """

    folder: Path
    minutes: float | None = None
    seed: int = 0
    only: str = ""

    @property
    def short(self) -> bool:
        """Whether figures are of a shortened run."""
        return self.minutes is not None

    def seconds(self, full: float) -> float:
        """Seconds for something that takes `full` seconds at full length."""
        return full if self.minutes is None else min(full, 60 * self.minutes)

    def share(self, full: float, of_minutes: float) -> float:
        """Seconds for one of several things that together take `of_minutes` at full length."""
        return full if self.minutes is None else min(full, full * self.minutes / of_minutes)

    def place(self, name: str) -> Path:
        """A folder of that name, made."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path
