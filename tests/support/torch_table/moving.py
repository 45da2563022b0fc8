"""Operators that move, take and put elements."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from support.torch_table.args import Args, Function, Result


def _reshape(a: Args) -> Result:
    sizes = a.ints(1)
    if not a.allowzero:
        sizes = [n or a[0].shape[i] for i, n in enumerate(sizes)]
    return a[0].reshape(sizes)


def _transpose(a: Args) -> Result:
    return a[0].permute(a.perm or list(range(a[0].ndim))[::-1])


def _flatten(a: Args) -> Result:
    axis = a.axis if a.axis >= 0 else a.axis + a[0].ndim
    shape = a[0].shape
    return a[0].reshape(int(np.prod(shape[:axis])), int(np.prod(shape[axis:])))


def _squeeze(a: Args) -> Result:
    return a[0].squeeze(tuple(a.ints(1))) if a.has(1) else a[0].squeeze()


def _unsqueeze(a: Args) -> Result:
    x, rank = a[0], a[0].ndim + len(a.ints(1))
    for axis in sorted(axis % rank for axis in a.ints(1)):
        x = x.unsqueeze(axis)
    return x


def _split(a: Args) -> Result:
    if a.has(1):
        return torch.split(a[0], a.ints(1), a.axis)
    size = -(-a[0].shape[a.axis] // a.num_outputs)
    return torch.split(a[0], size, a.axis)


def _slice(a: Args) -> Result:
    x, starts, ends = a[0], a.ints(1), a.ints(2)
    axes = a.ints(3) if a.has(3) else range(len(starts))
    steps = a.ints(4) if a.has(4) else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = x.shape[axis]
        if step < 0:  # torch counts forwards only
            last = -1 if end < -size else end + size if end < 0 else end
            first = min(start + size if start < 0 else start, size - 1)
            taken = list(range(first, last, step))
        else:
            taken = list(range(size))[start:end:step]
        x = x.index_select(axis, torch.tensor(taken, dtype=torch.int64))
    return x


def _expand(a: Args) -> Result:
    return a[0].expand(torch.broadcast_shapes(a[0].shape, tuple(a.ints(1))))


def _gather(a: Args) -> Result:
    x, axis = a[0], a.axis % a[0].ndim
    index = a[1].long() % x.shape[axis]
    taken = x.index_select(axis, index.reshape(-1))
    return taken.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _gather_elements(a: Args) -> Result:
    return torch.gather(a[0], a.axis, a[1].long() % a[0].shape[a.axis])


def _tuples(a: Args, batch: int) -> tuple[torch.Tensor, ...]:
    """Tuples of indices as torch indexes: one tensor for each axis."""
    index = a[1].long()
    parts = [index[..., k] % a[0].shape[batch + k] for k in range(index.shape[-1])]
    rows = [
        torch.arange(a[0].shape[k]).reshape([-1 if j == k else 1 for j in range(parts[0].ndim)])
        for k in range(batch)
    ]
    return (*rows, *parts)


def _gather_nd(a: Args) -> Result:
    return a[0][_tuples(a, a.batch_dims)]


_REDUCTIONS = {"add": "sum", "mul": "prod", "min": "amin", "max": "amax"}


def _scatter_elements(a: Args) -> Result:
    x, axis = a[0], a.axis
    index = a[1].long() % x.shape[axis]
    if a.reduction == "none":
        return x.scatter(axis, index, a[2])
    return x.scatter_reduce(axis, index, a[2], _REDUCTIONS[a.reduction])


def _scatter_nd(a: Args) -> Result:
    if a.reduction in {"none", "add"}:
        return a[0].index_put(_tuples(a, 0), a[2], accumulate=a.reduction == "add")
    places = torch.arange(a[0].numel()).reshape(a[0].shape)[_tuples(a, 0)]
    flat, updates = a[0].reshape(-1), a[2].reshape(-1)
    put = flat.scatter_reduce(0, places.reshape(-1), updates, _REDUCTIONS[a.reduction])
    return put.reshape(a[0].shape)


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(a: Args) -> Result:
    x, pads = a[0], a.ints(1)
    axes = [axis % x.ndim for axis in a.ints(3)] if a.has(3) else list(range(x.ndim))
    around = [(0, 0)] * x.ndim
    for k, axis in enumerate(axes):
        around[axis] = (pads[k], pads[k + len(axes)])
    if a.mode == "constant":
        return _constant_pad(x, around, a.get(2))
    if min(n for pair in around for n in pair) < 0:
        return None  # torch pads so, but does not crop
    if any(n >= x.shape[axis] for axis, pair in enumerate(around) for n in pair):
        return None  # torch reflects and wraps once
    flat = [n for pair in around[::-1] for n in pair]
    lead = (1,) * (x.ndim == 2)  # torch wants channels and a batch around what it pads
    return F.pad(x[(None, *(None,) * len(lead))], flat, _PAD_MODES[a.mode])[(0, *(0,) * len(lead))]


def _constant_pad(
    x: torch.Tensor, around: list[tuple[int, int]], value: torch.Tensor | None
) -> torch.Tensor:
    """F.pad takes a number, and none has a gradient: a mask says where it is."""
    flat = [n for pair in around[::-1] for n in pair]
    padded, inside = F.pad(x, flat), F.pad(torch.ones_like(x), flat)
    return padded if value is None else padded + (1.0 - inside) * value.reshape(())


def _depth_to_space(a: Args) -> Result:
    if a.mode == "CRD":
        return F.pixel_shuffle(a[0], a.blocksize)
    n, c, h, w = a[0].shape
    b = a.blocksize
    apart = a[0].reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2)
    return apart.reshape(n, c // (b * b), h * b, w * b)


def _space_to_depth(a: Args) -> Result:
    n, c, h, w = a[0].shape
    b = a.blocksize
    if a.mode == "CRD":
        return F.pixel_unshuffle(a[0], b)
    apart = F.pixel_unshuffle(a[0], b).reshape(n, c, b * b, h // b, w // b)
    return apart.transpose(1, 2).reshape(n, c * b * b, h // b, w // b)


def _trilu(a: Args) -> Result:
    k = a.ints(1)[0] if a.has(1) else 0
    return torch.triu(a[0], k) if a.upper else torch.tril(a[0], k)


def _top_k(a: Args) -> Result:
    if not a.sorted:
        return None  # in which order, neither says
    return torch.topk(a[0], a.ints(1)[0], a.axis, bool(a.largest), bool(a.sorted))


def _compress(a: Args) -> Result:
    x = a[0].reshape(-1) if a.axis is None else a[0]
    kept = a[1].nonzero().reshape(-1)
    return x.index_select(a.axis or 0, kept)


def _one_hot(a: Args) -> Result:
    depth = a.ints(1)[0]
    within = (a[0] >= -depth) & (a[0] < depth)
    hot = F.one_hot(a[0].long() % depth, depth).to(a[2].dtype) * within.unsqueeze(-1)
    return (a[2][0] + hot * (a[2][1] - a[2][0])).movedim(-1, a.axis)


def _reverse_sequence(a: Args) -> Result:
    time, batch = a.time_axis, a.batch_axis
    x = a[0].movedim((batch, time), (0, 1))
    rows = [torch.cat([r[:n].flip(0), r[n:]]) for r, n in zip(x, a.ints(1), strict=True)]
    return torch.stack(rows).movedim((0, 1), (batch, time))


def _fold(a: Args) -> Result:
    image, block = a.ints(1), a.ints(2)
    count = len(image)
    pads = a.pads or [0] * 2 * count
    if count != 2 or pads[:count] != pads[count:]:
        return None
    how = {"dilation": a.dilations or 1, "padding": pads[:count], "stride": a.strides or 1}
    return F.fold(a[0], image, block, **how)


def _unique(a: Args) -> Result:
    flat = a[0].reshape(-1)
    if a.axis is not None or not a.sorted or len(flat.unique()) < len(flat):
        return None  # torch's own has no gradient: sorting distinct elements is the same
    return flat.sort().values


def _range(a: Args) -> Result:
    start, limit, delta = (a[i] for i in range(3))
    steps = torch.arange(max(0, int(np.ceil(((limit - start) / delta).item()))))
    return start + delta * steps


def _crop_or_pad(a: Args) -> Result:
    x, axes = a[0], a.axes or list(range(a[0].ndim))
    for axis, size in zip(axes, a.ints(1), strict=True):
        old = x.shape[axis]
        if size <= old:
            x = x.narrow(axis, (old - size) // 2, size)
        else:
            before = (size - old) // 2
            x = F.pad(x, [*(0, 0) * (x.ndim - 1 - axis % x.ndim), before, size - old - before])
    return x


MOVING: dict[str, Function] = {
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": lambda a: torch.cat([a[i] for i in range(len(a))], a.axis),
    "Split": _split,
    "Slice": _slice,
    "Expand": _expand,
    "Tile": lambda a: torch.tile(a[0], a.ints(1)),
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Trilu": _trilu,
    "TopK": _top_k,
    "Compress": _compress,
    "OneHot": _one_hot,
    "ReverseSequence": _reverse_sequence,
    "Col2Im": _fold,
    "Unique": _unique,
    "Range": _range,
    "CenterCropPad": _crop_or_pad,
}
