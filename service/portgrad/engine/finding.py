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


class Finder:
    """What finds the sessions of one plan, as long as they are kept.

    Args:
        sessions: where they are kept.
        keys: theirs, in the order in which they are looked for.
    """

    def __init__(self, sessions: Sessions, *keys: tuple[Any, ...]) -> None:
        self._peek, self._keys = sessions.peek, keys

    def find(self, feeds: Mapping[str, Value]) -> tuple[Compiled, Shapes, Reading] | None:
        """What ran on feeds of these shapes as they are, with the shapes and how they were read."""
        shapes = shapes_of(feeds)
        if shapes is None:
            return None
        for key in self._keys:
            compiled: Compiled | None = self._peek(key, lambda kept: kept.as_is.get(shapes))
            reading = None if compiled is None else compiled.as_is.get(shapes)
            if compiled is not None and reading is not None:
                return compiled, shapes, reading
        return None
