"""Class seeds: one element of an output chosen by its index, in place of an imposed array.

`{"index": 3}` is the fourth class of a 2-D output, for all examples, or for each by a list of N.
`{"at": [i, j]}` has an index for each axis that is not the batch's, once or N times. In a stack
of K seeds both have K of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from portgrad.engine.arrays import Array
from portgrad.engine.batches import shown
from portgrad.engine.limits import LIMITS, check_answer
from portgrad.errors import InvalidRequest

KEYS = ("index", "at")


def is_class_seed(value: object) -> bool:
    """Whether something is imposed by index."""
    return isinstance(value, Mapping)


def one_hot(
    value: Mapping[str, Any],
    shape: tuple[int, ...],
    axis: int | None,
    dtype: np.dtype[Any],
    where: str,
    *,
    stacked: bool = False,
) -> Array:
    """The array that a class seed stands for: zeros, and a one for each example.

    Args:
        value: the class seed.
        shape: the shape of the output, as the caller sees it.
        axis: its example axis, None where it has none.
        dtype: the output's dtype.
        where: the position in the request, for errors.
        stacked: whether the seed is a stack.

    Returns:
        An array of the output's shape, in a stack after a leading axis.

    Raises:
        InvalidRequest: `invalid_class_seed`, `index_out_of_range`.
        LimitExceeded: `answer_too_large`.
    """
    sizes = shape if axis is None else shape[:axis] + shape[axis + 1 :]
    key, places = _places(value, sizes, where)
    count = 1 if axis is None else shape[axis]
    wanted = (*places.shape[:1], count) if stacked else (count,)
    lead = places.shape[:-1]
    for_all = lead == wanted[:-1]
    if not for_all and (axis is None or lead != wanted):
        each = None if axis is None else count
        found = places.shape[:-1] if key == "index" else places.shape
        raise _invalid(where, _expected(key, len(sizes), each, stacked), f"shape {shown(found)}")
    _check_range(places, sizes, where)
    # A few numbers of a request stand for arrays of any size.
    check_answer(
        "The imposed gradients", [((*wanted, *sizes), dtype.itemsize)], LIMITS.answer_bytes, where
    )
    places = np.broadcast_to(places[..., None, :] if for_all else places, (*wanted, len(sizes)))
    found = np.zeros((*wanted, *sizes), dtype)
    grid = np.indices(wanted, sparse=True)
    found[(*grid, *np.moveaxis(places, -1, 0))] = 1
    batch = len(wanted) - 1
    return found.squeeze(batch) if axis is None else np.moveaxis(found, batch, batch + axis)


def _places(value: Mapping[str, Any], sizes: tuple[int, ...], where: str) -> tuple[str, Array]:
    """The key, and indices by axis, on the last axis of the array."""
    keys = list(value)
    if len(keys) != 1 or keys[0] not in KEYS:
        raise _invalid(where, 'an array, {"index": …} or {"at": …}', f"an object with {keys}"[:80])
    [key] = keys
    places = _whole(value[key], f"{where}.{key}")
    if key == "at":
        if places.ndim == 0 or places.shape[-1] != len(sizes):
            expected = _expected(key, len(sizes), None, stacked=False)
            raise _invalid(where, expected, f"shape {shown(places.shape)}")
        return key, places
    if len(sizes) != 1:
        raise _invalid(
            where,
            f'"at" with {len(sizes)} indices, since the output is not 2-D',
            '"index", which takes the last axis of a 2-D output',
        )
    return key, places[..., None]


def _whole(given: Any, where: str) -> Array:
    try:
        array = np.asarray(given)
    except (ValueError, OverflowError):
        array = np.asarray("ragged")
    if array.dtype.kind not in "iu":
        raise _invalid(where, "whole numbers, in lists of equal lengths", repr(given)[:80])
    return array.astype(np.int64)


def _check_range(places: Array, sizes: tuple[int, ...], where: str) -> None:
    wrong = (places < 0) | (places >= np.asarray(sizes, np.int64))
    if wrong.any():
        axis = int(np.argwhere(wrong)[0][-1])
        raise InvalidRequest(
            "An index of a class seed is out of range.",
            code="index_out_of_range",
            where=where,
            expected=f"an index from 0 to {sizes[axis] - 1}",
            found=str(int(places[wrong].flat[0])),
            remedy="Count from 0.",
        )


def _expected(key: str, rank: int, count: int | None, stacked: bool) -> str:
    """What a key takes: for all examples, or for each of so many."""
    indices = "1 index" if rank == 1 else f"{rank} indices"
    if key == "index":
        one, many = "an index", "indices"
        each = f"a list of {count}, one for each example"
    else:
        one, many = f"a list of {indices}", f"lists of {indices}"
        each = f"{count} such lists, one for each example"
    if stacked:
        one, each = f"a list of K {many}", f"K times {each}"
    return one if count is None else f"{one}, or {each}"


def _invalid(where: str, expected: str, found: str) -> InvalidRequest:
    return InvalidRequest(
        f"The class seed at {where!r} does not fit its output.",
        code="invalid_class_seed",
        where=where,
        expected=expected,
        found=found,
        remedy='Such as {"index": 3} for a class of a 2-D output, or {"at": [1, 2]} with an index '
        "for each axis that is not the batch's.",
    )
