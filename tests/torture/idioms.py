"""Random small nets as exporters write them, of what the engine computes in ways of its own.

Images in blocks of channels, rows of an open batch, words of a tied table, steps of an LSTM. What
is drawn is what those ways tell apart: strides, padding and groups of a convolution, channels
around a block, kernels that are shared or made of other weights, who else reads a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from torture.draft import Draft, Value

_CHANNELS = (3, 4, 8, 12, 16, 16, 20, 24, 32, 48)
_LARGEST = 64  # channels
_SIMPLE = (
    "Abs Elu Erf Exp HardSwish LeakyRelu Mish Neg Relu Relu Relu Sigmoid Softplus Tanh".split()
)


def _activated(draft: Draft, x: Value) -> Value:
    name = draft.pick(*_SIMPLE, "Clip", "SiLU", "times a number", "relu6 / 6")
    if name == "Clip":
        low, high = (draft.hold(np.float32(bound)) for bound in (-0.3, 0.4))
        made = draft.op("Clip", x.name, *draft.pick([low, high], [low], ['""', high]))
    elif name == "SiLU":
        made = draft.op("Mul", x.name, draft.op("Sigmoid", x.name))
    elif name == "times a number":
        made = draft.op("Mul", x.name, draft.weight(1, scale=1.0))
    elif name == "relu6 / 6":
        three, none, six = (draft.hold(np.float32(number)) for number in (3, 0, 6))
        clipped = draft.op("Clip", draft.op("Add", x.name, three), none, six)
        made = draft.op("Mul", x.name, draft.op("Div", clipped, six))
    else:
        made = draft.op(name, x.name)
    return Value(made, x.sizes)


# -- images --------------------------------------------------------------------------------------


def images(draft: Draft) -> None:
    """Convolutions and what lies between them."""
    x = draft.port("x", draft.pick(*_CHANNELS), *(int(draft.rng.integers(4, 9)) for _ in "hw"))
    seen = [x]
    for _ in range(int(draft.rng.integers(2, 8))):
        x = draft.pick(_convolved, _convolved, _block, _depthwise, _activated, _residual, _squeezed,
                       _pooled, _normed, _joined_with(seen))(draft, x)  # fmt: skip
        seen.append(x)
    channels = x.sizes[0]
    if draft.chance(0.4):
        flat = draft.op("Flatten", draft.op("GlobalAveragePool", x.name))
        made = draft.op("Gemm", flat, draft.weight(5, channels), draft.vector(5), transB=1)
        draft.outputs.append(Value(made, (5,)))
    else:
        draft.outputs.append(Value(draft.op("Identity", x.name), x.sizes))
    if draft.chance(0.3):
        inner = draft.pick(*seen[1:])
        draft.outputs.append(Value(draft.op("Identity", inner.name), inner.sizes))


def _convolved(draft: Draft, x: Value, made: int = 0, *, same: bool = False) -> Value:
    channels, *rows = x.sizes
    group = 1 if made else draft.pick(1, 1, 1, channels, 2 if channels % 2 == 0 else 1)
    outer = made or (draft.pick(*_CHANNELS) if group == 1 else channels * draft.pick(1, 1, 2))
    taps = [draft.pick(1, 3, 5) if same else draft.pick(1, 1, 2, 3, 4) for _ in "hw"]
    gaps = [draft.pick(1, 1, 2) for _ in "hw"]
    reach = [(k - 1) * gap + 1 for k, gap in zip(taps, gaps, strict=True)]
    strides = [1, 1] if same else [draft.pick(1, 1, 2, 3) for _ in "hw"]
    pads = [draft.pick(0, r // 2, int(draft.rng.integers(0, r + 2))) for r in reach * 2]
    pads = [r // 2 for r in reach * 2] if same else pads
    sizes = [
        (row + before + after - r) // step + 1
        for row, before, after, r, step in zip(
            rows, pads[:2], pads[2:], reach, strides, strict=True
        )
    ]
    if min(sizes) < 1 or outer > _LARGEST:
        return _convolved(draft, x, outer if outer <= _LARGEST else channels, same=True)
    operands = [x.name, _kernel(draft, outer, channels // group, *taps)]
    operands += [draft.vector(outer)] if draft.chance(0.5) else []
    geometry = {"strides": strides, "dilations": gaps, "pads": pads, "group": group}
    return Value(draft.op("Conv", *operands, **geometry), (outer, *sizes))


def _kernel(draft: Draft, *sizes: int) -> str:
    """A kernel: a weight, maybe another convolution's, or made of weights."""
    shared = [name for name, array in draft.weights.items() if array.shape == sizes]
    if shared and draft.chance(0.5):
        return draft.pick(*shared)
    kernel = draft.weight(*sizes)
    if draft.chance(0.2):
        return draft.op("Mul", kernel, draft.weight(sizes[0], 1, 1, 1, scale=1.0))
    return kernel


def _normed(draft: Draft, x: Value) -> Value:
    size = x.sizes[0]
    operands = [draft.vector(size), draft.vector(size), draft.vector(size), draft.vector(size, 0.5)]
    return replace(x, name=draft.op("BatchNormalization", x.name, *operands))


def _block(draft: Draft, x: Value) -> Value:
    return _activated(draft, _normed(draft, _convolved(draft, x)))


def _depthwise(draft: Draft, x: Value) -> Value:
    wide = _block(draft, _convolved(draft, x, draft.pick(16, 32)))
    return _convolved(draft, wide, x.sizes[0])


def _residual(draft: Draft, x: Value) -> Value:
    made = _convolved(draft, x, x.sizes[0], same=True)
    made = _normed(draft, made) if draft.chance(0.5) else made
    operands = draft.pick([made.name, x.name], [x.name, made.name])
    return replace(x, name=draft.op("Relu", draft.op("Add", *operands)))


def _squeezed(draft: Draft, x: Value) -> Value:
    size, few = x.sizes[0], max(1, x.sizes[0] // 4)
    gate = draft.op("GlobalAveragePool", x.name)
    gate = draft.op("Relu", draft.op("Conv", gate, draft.weight(few, size, 1, 1)))
    gate = draft.op("Sigmoid", draft.op("Conv", gate, draft.weight(size, few, 1, 1)))
    return replace(x, name=draft.op("Mul", x.name, gate))


def _pooled(draft: Draft, x: Value) -> Value:
    taps = [draft.pick(1, 2, min(3, *x.sizes[1:])) if min(x.sizes[1:]) > 1 else 1 for _ in "hw"]
    up, (channels, *rows) = draft.pick(0, 1), x.sizes
    sizes = [-(-(r - k) // k) + 1 if up else (r - k) // k + 1
             for r, k in zip(rows, taps, strict=True)]  # fmt: skip
    kind = draft.pick("MaxPool", "AveragePool")
    made = draft.op(kind, x.name, kernel_shape=taps, strides=taps, ceil_mode=up)
    return Value(made, (channels, *sizes))


def _joined_with(seen: Sequence[Value]) -> Callable[[Draft, Value], Value]:
    """What puts a value together with one before it, if one fits."""

    def joined(draft: Draft, x: Value) -> Value:
        beside = [value for value in seen if value.sizes[1:] == x.sizes[1:]]
        alike = [value for value in beside if value.sizes == x.sizes]
        if alike and draft.chance(0.5):
            other = draft.pick(*alike)
            return replace(x, name=draft.op(draft.pick("Add", "Sub", "Mul"), x.name, other.name))
        other = draft.pick(*beside)
        channels = x.sizes[0] + other.sizes[0]
        if channels > _LARGEST:
            return x
        made = draft.op("Concat", x.name, other.name, axis=1)
        return Value(made, (channels, *x.sizes[1:]))

    return joined


# -- rows, words, steps --------------------------------------------------------------------------


def rows(draft: Draft) -> None:
    """Layers over rows of numbers."""
    x = draft.port("x", draft.pick(1, 5, 8, 50))
    for _ in range(int(draft.rng.integers(1, 6))):
        (size,), made = x.sizes, draft.pick(1, 5, 8, 50)
        if draft.chance(0.5):
            y = draft.op("Gemm", x.name, draft.weight(made, size), draft.vector(made), transB=1)
        else:
            y = draft.op("MatMul", x.name, draft.weight(size, made))
        x = _activated(draft, Value(y, (made,)))
        if draft.chance(0.3):
            x = replace(x, name=draft.op("Softmax", x.name, axis=1))
    draft.outputs.append(Value(draft.op("Identity", x.name), x.sizes))


def words(draft: Draft) -> None:
    """Attention over the words of a table that says the next one, too."""
    many, size, heads, length = 11, draft.pick(4, 8, 16), draft.pick(1, 2), draft.pick(3, 6)
    ids, table = draft.port("ids", length, below=many), draft.weight(many, size, scale=1.0)
    x = draft.op("Gather", table, ids.name)
    if draft.chance(0.5):
        x = draft.op("Add", x, draft.op("Gather", table, draft.op("Neg", ids.name)))
    for _ in range(draft.pick(1, 2)):
        norm = [draft.vector(size, 0.5), draft.vector(size)]
        y = draft.op("MatMul", x, draft.weight(size, 3 * size))
        parts = draft.op("Split", y, outputs=3, axis=-1, num_outputs=3).split(", ")
        apart = draft.ints(0, 0, heads, size // heads)
        split = [draft.op("Reshape", part, apart) for part in parts]
        q, k, v = (
            draft.op("Transpose", part, perm=perm)
            for part, perm in zip(split, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
        )
        p = draft.op("Softmax", draft.op("MatMul", q, k), axis=-1)
        if draft.chance(0.5):
            p = draft.op("Where", draft.op("IsNaN", p), draft.hold(np.float32(0)), p)
        y = draft.op("Transpose", draft.op("MatMul", p, v), perm=[0, 2, 1, 3])
        y = draft.op(
            "MatMul", draft.op("Reshape", y, draft.ints(0, 0, size)), draft.weight(size, size)
        )
        x = draft.op("LayerNormalization", draft.op("Add", x, y), *norm, axis=-1)
    x = draft.op("MatMul", x, draft.op("Transpose", table, perm=[1, 0]))
    draft.outputs.append(Value(x, (length, many)))


def steps(draft: Draft) -> None:
    """An LSTM over the steps of each example."""
    size, hidden, length = draft.pick(1, 3, 8), draft.pick(2, 5), draft.pick(1, 4)
    way = draft.pick("forward", "reverse", "bidirectional")
    count = 2 if way == "bidirectional" else 1
    x = draft.op("Transpose", draft.port("x", length, size).name, perm=[1, 0, 2])
    weights = [draft.weight(count, 4 * hidden, inner, scale=0.5) for inner in (size, hidden)]
    bias = draft.pick('""', draft.weight(count, 8 * hidden, scale=0.5))
    made = draft.op("LSTM", x, *weights, bias, outputs=3, hidden_size=hidden, direction=way)
    y, *last = made.split(", ")
    draft.outputs.append(
        Value(draft.op("Transpose", y, perm=[2, 0, 1, 3]), (length, count, hidden))
    )
    for state in last:
        if draft.chance(0.5):
            turned = draft.op("Transpose", state, perm=[1, 0, 2])
            draft.outputs.append(Value(turned, (count, hidden)))


KINDS = (images, images, images, rows, words, steps)


def net(seed: int) -> Draft:
    """The net of a number."""
    draft = Draft(np.random.default_rng(seed))
    draft.pick(*KINDS)(draft)
    return draft
