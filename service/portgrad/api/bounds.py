"""The most that a call may hold once it is read, as the settings say."""

from __future__ import annotations

from collections.abc import Callable

from portgrad.codecs.bounds import Bounds
from portgrad.settings import Settings


def bounds(settings: Settings, hold: Callable[[int], None]) -> Bounds:
    """What the settings say of calls."""
    return Bounds(
        settings.max_body_bytes,
        settings.max_json_depth,
        settings.max_arrays,
        settings.max_elements,
        hold,
    )
