"""Parts that are ordinary tests, run with larger numbers: pytest as a process, and its counts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torture.plan import ROOT


@dataclass(frozen=True)
class Suite:
    """How a run of tests ended."""

    passed: int
    failed: int
    skipped: int
    tail: str

    @property
    def ok(self) -> bool:
        """Whether there were tests, and none failed."""
        return self.passed > 0 and self.failed == 0


def suite(paths: Iterable[Path], environment: Mapping[str, str] | None = None) -> Suite:
    """Run the tests of some files."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, paths)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    tail = (done.stdout + done.stderr)[-3000:]
    passed, failed, errors, skipped = (
        int(found[1]) if (found := re.search(rf"(\d+) {word}", tail)) else 0
        for word in ("passed", "failed", "error", "skipped")
    )
    return Suite(passed, failed + errors + (done.returncode not in {0, 1}), skipped, tail)
