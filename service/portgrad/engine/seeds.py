"""Imposed arrays: gradients at outputs, which broadcast to them, and tangents, which do not."""

from __future__ import annotations

from collections.abc import Mapping

from portgrad.autodiff import SEED
from portgrad.engine.arrays import Array
from portgrad.engine.batches import Dims, shown
from portgrad.errors import InvalidRequest

_STACKED = "Put the arrays of all K on a new first axis, or leave `stacked` out."
MOST_IN_A_STACK = 2**20  # each is a step of the run, however few elements it has


def sized(dims: Dims | None, sizes: Mapping[str, int]) -> Dims | None:
    """A declared shape with the symbols that the inputs fix in place."""
    if dims is None:
        return None
    return tuple(sizes.get(d, None) if isinstance(d, str) else d for d in dims)


def value_of(feed: str) -> str:
    """The value that `seed/NAME` or `tangent/NAME` is imposed at."""
    return feed.partition("/")[2]


def field_of(feed: str) -> str:
    """Where in a request the array of a feed stands."""
    kind = "output_gradients" if feed.startswith(SEED) else "tangents"
    return f"{kind}.{value_of(feed)}"


def checked(
    array: Array,
    dims: Dims | None,
    feed: str,
    *,
    exact: bool = False,
    height: int | None = None,
) -> Array:
    """The array with the rank of its value, refused where it cannot broadcast to it.

    Sizes that only the run can tell are checked by the graph itself.

    Args:
        array: what is imposed.
        dims: the shape of the value as far as it is known.
        feed: `seed/NAME` or `tangent/NAME`.
        exact: whether the shape must be the value's own: of tangents, and of seeds in a stack.
        height: how many there are in the stack that the array is one of, None outside of stacks.
    """
    if dims is None:
        return array
    if exact:
        if len(array.shape) != len(dims) or not _fits(array.shape, dims, ()):
            raise wrong_shape(feed, dims, array.shape, exact=True, height=height)
        return array
    trailing = dims[max(0, len(dims) - array.ndim) :]
    if array.ndim > len(dims) or not _fits(array.shape, trailing, (1,)):
        raise wrong_shape(feed, dims, array.shape)
    missing = len(dims) - array.ndim
    return array.reshape((1,) * missing + array.shape) if missing else array


def _fits(shape: tuple[int, ...], dims: Dims, also: tuple[int, ...]) -> bool:
    return all(dim is None or size in (*also, dim) for size, dim in zip(shape, dims, strict=True))


def wrong_shape(
    feed: str,
    dims: Dims | tuple[int, ...],
    shape: tuple[int, ...],
    *,
    exact: bool = False,
    height: int | None = None,
) -> InvalidRequest:
    """The error for an imposed array that does not have the shape of its value; see `checked`."""
    seed = feed.startswith(SEED)
    expected = shown(dims if height is None else ("K", *dims))
    if height is not None:
        remedy = _STACKED
    elif exact:
        remedy = "Send one number for each element of it; a tangent does not broadcast."
    else:
        remedy = "Impose one number for each element of the output, or one number for all."
    return InvalidRequest(
        f"The {'gradient' if seed else 'tangent'} imposed at {value_of(feed)!r} does not have its "
        "shape.",
        code="wrong_seed_shape" if seed else "wrong_tangent_shape",
        where=field_of(feed),
        expected=expected if exact else f"{expected}, or an array that broadcasts to it",
        found=shown(shape if height is None else (height, *shape)),
        remedy=remedy,
    )


def of_batch(dims: Dims, count: int, stacked: bool) -> Dims:
    """The shape that a value has in the answer to a batch, from that of one example.

    Args:
        dims: the shape for one example.
        count: the number of examples.
        stacked: whether the value is stacked on a new leading axis; otherwise its own first axis
            of 1 becomes the batch.
    """
    return (count, *(dims if stacked else dims[1:]))


def height(stacks: Mapping[str, Array]) -> int:
    """The number of seeds or tangents in a stack, the same at each value.

    Raises:
        InvalidRequest: `wrong_stack`.
    """
    sizes = {feed: array.shape[0] if array.ndim else None for feed, array in stacks.items()}
    if len(set(sizes.values())) == 1 and None not in sizes.values():
        found = int(next(size for size in sizes.values() if size is not None))
        if found <= MOST_IN_A_STACK:
            return found
    raise InvalidRequest(
        f"The arrays of a stack do not have one leading axis of at most {MOST_IN_A_STACK}.",
        code="wrong_stack",
        where=field_of(next(iter(stacks))) if stacks else "stacked",
        expected="arrays of shape (K, *shape of the value), with one K",
        found=", ".join(f"{value_of(f)}: {shown(a.shape)}" for f, a in stacks.items())
        or "nothing imposed",
        remedy=_STACKED,
    )
