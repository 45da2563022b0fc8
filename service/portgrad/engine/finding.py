"""The short way to a session: by a plan and the shapes of what is fed, where it ran on such before.

How arrays are read, and that they fit, was decided then. Who finds nothing goes the long way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from portgrad.engine.arrays import Shapes, Value, shapes_of
from portgrad.engine.batches import Reading
from portgrad.engine.cache import Cache
from portgrad.engine.plan import Compiled

Sessions: TypeAlias = Cache[tuple[Any, ...], Any]
# A session, the shapes of what is fed, and how arrays of these shapes were read.
Known: TypeAlias = tuple[Compiled, Shapes, Reading]


class Finder:
    """What finds the sessions of one plan, as long as they are kept.

    Args:
        sessions: where they are kept.
        keys: theirs.
    """

    def __init__(self, sessions: Sessions, *keys: tuple[Any, ...]) -> None:
        self._peek, self._keys = sessions.peek, list(keys)

    def find(self, feeds: Mapping[str, Value]) -> Known | None:
        """What ran on feeds of these shapes, as they are."""
        shapes = shapes_of(feeds)
        if shapes is None:
            return None

        def look(compiled: Compiled) -> Known | None:
            reading = compiled.as_is.get(shapes)
            return None if reading is None else (compiled, shapes, reading)

        for key in self._keys:
            known = self._peek(key, look)
            if known is not None:
                if key is not self._keys[0]:  # the next call is likely to be alike
                    self._keys = [key, *(other for other in self._keys if other is not key)]
                return known
        return None
