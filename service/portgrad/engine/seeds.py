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
        f"the gradient imposed at {name!r} does not have its shape",
        code="wrong_seed_shape",
        where=f"output_gradients.{name}",
        expected=f"{shown(dims)}, or an array that broadcasts to it",
        found=shown(shape),
        remedy="impose one number for each element of the output, or one number for all",
    )


def split(seed: Array, count: int, dims: Dims | None, stacked: bool, name: str) -> list[Array]:
    """A gradient imposed on a whole batch, cut into one for each example.

    Args:
        seed: the array for all examples.
        count: the number of examples.
        dims: the output's shape for one example.
        stacked: whether the answer stacks this output on a new leading axis; otherwise its own
            first axis of 1 becomes the batch.
        name: the output.
    """
    rest = dims if stacked or dims is None else dims[1:]
    rank = None if rest is None else 1 + len(rest)
    if rank is not None and seed.ndim > rank:
        raise wrong_seed(name, (count, *(rest or ())), seed.shape)
    if rank is None or seed.ndim < rank or seed.shape[0] == 1 != count:
        cut = [seed[0] if rank is not None and seed.ndim == rank else seed] * count
    elif seed.shape[0] == count:
        cut = list(seed)
    else:
        raise wrong_seed(name, (count, *(rest or ())), seed.shape)
    return [checked(np.asarray(one), dims, name) for one in cut]
