"""Names offered to somebody who asked for one that does not exist."""

from __future__ import annotations

import difflib
import heapq
import os
from collections.abc import Iterable

# Comparing takes time in the product of two lengths, and a request may hold a name of any length.
LONGEST = 300
# Each name compared takes some 20 microseconds, and a net may have a hundred thousand.
MOST = 200


def nearest(asked: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The names most like the one asked for, the best first; case counts little."""
    if len(asked) > LONGEST:
        return []
    by_folded = {name.casefold(): name for name in names}
    folded = asked.casefold()
    close = difflib.get_close_matches(folded, _likeliest(folded, by_folded), n=count)
    holding = [name for name in by_folded if folded and folded in name]
    return [by_folded[name] for name in dict.fromkeys([*close, *holding])][:count]


def _likeliest(asked: str, names: Iterable[str]) -> list[str]:
    """Those that are worth comparing: of very many the ones that begin like the one asked for."""

    def shared(name: str) -> int:
        return len(os.path.commonprefix([asked, name]))  # noqa: RUF071 (they are no paths)

    return heapq.nlargest(MOST, names, key=shared)


def offer(asked: str, names: Iterable[str]) -> str | None:
    """A sentence that offers the nearest names, or None where nothing is near."""
    near = nearest(asked, names)
    return f"Did you mean {listed(near, 'or')}?" if near else None


def listed(names: Iterable[str], last: str = "and") -> str:
    """Names in a sentence: `a`, `b` and `c`."""
    *head, tail = [f"`{name}`" for name in names]
    return f"{', '.join(head)} {last} {tail}" if head else tail
