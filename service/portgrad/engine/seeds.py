"""Imposed gradients: arrays that broadcast to the shape of an output or inner value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from portgrad.engine.arrays import Array
from portgrad.engine.batches import Dims, shown
from portgrad.errors import InvalidRequest


def sized(dims: Dims | None, sizes: Mapping[str, int]) -> Dims | None:
    """A declared shape with the symbols that the inputs fix in place."""
    if dims is None:
        return None
    return tuple(sizes.get(d, None) if isinstance(d, str) else d for d in dims)


def checked(seed: Array, dims: Dims | None, name: str) -> Array:
    """The array with the rank of its output, refused where it cannot broadcast to it.

    Sizes that only the run can tell are checked by the graph itself.
    """
    if dims is None:
        return seed
    if seed.ndim > len(dims) or not _broadcasts(seed.shape, dims):
        raise wrong_seed(name, dims, seed.shape)
    return seed.reshape((1,) * (len(dims) - seed.ndim) + seed.shape)


def _broadcasts(shape: tuple[int, ...], dims: Dims) -> bool:
    trailing = dims[len(dims) - len(shape) :]
    return all(size in (1, dim) or dim is None for size, dim in zip(shape, trailing, strict=True))


def wrong_seed(name: str, dims: Dims | tuple[int, ...], shape: tuple[int, ...]) -> InvalidRequest:
    """The error for an imposed array that does not broadcast to its output."""
    return InvalidRequest(
        f"The gradient imposed at {name!r} does not have its shape.",
        code="wrong_seed_shape",
        where=f"output_gradients.{name}",
        expected=f"{shown(dims)}, or an array that broadcasts to it",
        found=shown(shape),
        remedy="Impose one number for each element of the output, or one number for all.",
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


def split(seed: Array, count: int, dims: Dims | None, stacked: bool, name: str) -> list[Array]:
    """A gradient imposed on a whole batch, cut into one for each example; see `of_batch`."""
    if dims is None:  # an array of the wrong shape fails in the graph
        alone = seed.ndim == 0 or seed.shape[0] != count
        return [seed] * count if alone else [np.asarray(one) for one in seed]
    whole = checked(seed, of_batch(dims, count, stacked), name)
    parts = np.broadcast_to(whole, (count, *whole.shape[1:]))
    return [part if stacked else part[None] for part in map(np.asarray, parts)]
