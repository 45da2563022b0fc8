"""Class seeds: places in an output, in place of an array of zeros with ones there.

{"index": 3}    a place on the last axis of an output; {"index": [3, 1]}: one for each example
{"at": [0, 2]}  a place on every axis but the batch's; {"at": [[0, 2], [1, 0]]}: likewise
"""

from __future__ import annotations

from typing import Any

from portgrad.codecs.kinds import SEEDS
from portgrad.codecs.refusals import shown
from portgrad.errors import InvalidRequest

_KEYS = {"index", "at"}


def is_class_seed(value: Any) -> bool:
    """Whether a value is no array, but says where ones are; the engine holds it to its form."""
    return isinstance(value, dict) and not value.keys().isdisjoint(_KEYS)


def without_arrays(given: Any) -> dict[str, Any]:
    """The class seeds by name, from where there can be nothing else.

    Raises:
        InvalidRequest: something else is among them.
    """
    if given is None:
        return {}
    others = given.values() if isinstance(given, dict) else [given]
    for other in others:
        if not is_class_seed(other):
            raise InvalidRequest(
                "`options` has a gradient to impose that is an array.",
                code="invalid_field",
                where=SEEDS,
                expected='such as {"output": {"index": 3}} or {"output": {"at": [0, 2]}}',
                found=shown(other),
                remedy="Send arrays in the body, named seed/NAME.",
            )
    return dict(given)
