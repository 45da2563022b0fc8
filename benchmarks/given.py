"""What a run of the benchmarks was asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
REMEDY = "`make bench` installs it, or: pip install -e '.[bench]'"


@dataclass(frozen=True)
class Given:
    """How often, and of what.

    Args:
        rounds: how often things take their turn.
        threads: numbers of threads to measure with, one after the other.
        nets: names of nets of the zoo; none for all.
        cpu: times are those of the processor, which others on the machine disturb less; right
            with one thread alone.
        folder: where files may be kept from run to run.
    """

    rounds: int = 9
    threads: tuple[int, ...] = (2, 1)
    nets: tuple[str, ...] = ()
    cpu: bool = False
    folder: Path = ROOT / "build"

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds."""
        return time.process_time if self.cpu else time.perf_counter

    def wanted(self, net: str) -> bool:
        """Whether this net is to be measured."""
        return not self.nets or net in self.nets
