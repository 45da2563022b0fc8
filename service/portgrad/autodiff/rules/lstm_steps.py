"""LSTM said as a scan that gives out gates and cell states, and its cotangents from these.

For weights that do not fit the caches of a core. Each product reads a weight as a matrix, not as a
stack of one, so that the runtime lays it out for its kernel once, when it opens the graph; of a
stack it does so in every step, which takes longer than the product.

Directions are apart, each with its own scan; one that goes backwards needs nothing turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.infer import int_of
from portgrad.autodiff.remembering import Said, remembers
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

Tensors = Sequence[Tensor]
# Elements of W and R from which on this is faster, by measurement, at one example and at many.
LARGE = 2**16
_TURNED = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
_USUAL = ["sigmoid", "tanh", "tanh"]
_DTYPES = {ir.DataType.FLOAT, ir.DataType.DOUBLE}
_LAST = 2**31 - 1


@dataclass(frozen=True)
class Direction:
    """One direction of an LSTM, for all T steps on N examples.

    Attributes:
        turned: whether it goes from the last step to the first.
        w: (4 hidden, inputs).
        r: (4 hidden, hidden).
        initial: the hidden state and the cell state before the first step, (N, hidden).
        gates: i, o, f and g of each step, (T, N, hidden).
        states: hidden and cell states after each step.
        final: those after the last one.
    """

    turned: bool
    w: Tensor
    r: Tensor
    initial: Tensors
    gates: Tensors
    states: Tensors
    final: Tensors

    def before(self, op: Op, index: int) -> Tensor:
        """The hidden states (0) or the cell states (1) before each step."""
        states, first = self.states[index], op.unsqueeze(self.initial[index], 0)
        if self.turned:
            together = op.Concat(op.Slice(states, [1], [_LAST], [0]), first, axis=0)
        else:
            together = op.Concat(first, op.Slice(states, [0], [-1], [0]), axis=0)
        return op.shaped_as(together, states)


@remembers("LSTM")
def steps(op: Op, node: ir.Node) -> Said:
    """The outputs, and each `Direction`; None where the kernel is to stay."""
    if not _covered(node):
        return None
    given = [None if value is None else op.wrap(value) for value in node.inputs]
    x, w, r, b, _, *initial = [*given, *[None] * (7 - len(given))][:7]
    if x is None or w is None or r is None:
        return None
    turned = _TURNED[_text(node, "direction", "forward")]
    shape = op.vector([op.dims(x)[1], op.dims(r)[2]])
    nothing = op.ConstantOfShape(shape, value=np.zeros(1, x.dtype.numpy()))
    apart = [
        [nothing] * len(turned) if state is None else _parts(op, state, 0, len(turned))
        for state in initial
    ]
    weights = (_parts(op, w, 0, len(turned)), _parts(op, r, 0, len(turned)))
    biases = [None] * len(turned) if b is None else _parts(op, b, 0, len(turned))
    directions = [
        _direction(op, x, way, *each)
        for way, *each in zip(turned, *weights, biases, *apart, strict=True)
    ]
    y = _together(op, [each.states[0] for each in directions], 1)
    final = [_together(op, [each.final[k] for each in directions], 0) for k in (0, 1)]
    return [y, *final], directions


def cotangents(
    op: Op,
    x: Tensor,
    b: Tensor | None,
    directions: Sequence[Direction],
    cts: Sequence[Tensor | None],
) -> list[Any]:
    """The cotangents of an LSTM's operands.

    Args:
        op: the emitter.
        x: (T, N, inputs).
        b: the biases, if any.
        directions: what `steps` kept.
        cts: the cotangents of Y, Y_h and Y_c, None where nothing arrived.
    """
    count = len(directions)
    apart = [
        [None] * count if ct is None else _parts(op, ct, axis, count)
        for ct, axis in zip(cts, (1, 0, 0), strict=True)
    ]
    found = [_back(op, x, each, *ct) for each, *ct in zip(directions, *apart, strict=True)]
    ct_x, ct_w, ct_r, ct_b, ct_h, ct_c = zip(*found, strict=True)
    total = ct_x[0] if count == 1 else ct_x[0] + ct_x[1]
    weights = [_together(op, part, 0) for part in (ct_w, ct_r, ct_b)]
    states = [_together(op, part, 0) for part in (ct_h, ct_c)]
    return [total, *weights[:2], None if b is None else weights[2], None, *states, None]


def _direction(
    op: Op, x: Tensor, turned: bool, w: Tensor, r: Tensor, b: Tensor | None, h: Tensor, c: Tensor
) -> Direction:
    time, batch, inputs = op.dims(x)
    size, hidden = op.dims(r)
    rows = [op.reshape(x, [op.product(time, batch), inputs]), w]
    if b is not None:
        rows.append(op.Add(*op.split(b, op.vector([size, size]), 0, 2)))
    of_x = op.reshape(op.Gemm(*rows, transB=1), [time, batch, size])

    def step(op: Any, states: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
        (h, c), [of_x] = states, slices
        added = op.Gemm(h, r, of_x, transB=1)
        *squeezed, new = op.split(added, op.vector([hidden] * 4), 1, 4)
        i, o, f = map(op.Sigmoid, squeezed)
        g = op.Tanh(new)
        c = f * c + i * g
        h = o * op.Tanh(c)
        return [h, c], [i, o, f, g, h, c]

    final, (*gates, all_h, all_c) = op.scan(step, [h, c], [of_x], backwards=turned)
    return Direction(turned, w, r, [h, c], gates, [all_h, all_c], final)


def _back(
    op: Op, x: Tensor, d: Direction, ct_y: Tensor | None, ct_h: Tensor | None, ct_c: Tensor | None
) -> list[Tensor]:
    """The cotangents of X, W, R, both biases and the initial states."""
    time, batch, inputs = op.dims(x)
    size, hidden = op.dims(d.r)
    slopes, inwards, kept = _slopes(op, d)
    read = [slopes, inwards, kept, *([] if ct_y is None else [ct_y])]

    def step(op: Any, states: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
        (ct_h, ct_c), (slopes, inwards, kept, *arrived) = states, slices
        for more in arrived:
            ct_h = ct_h + more
        ct_c = ct_c + ct_h * inwards
        ct = op.Concat(ct_c, ct_h, ct_c, ct_c, axis=-1) * slopes
        return [op.MatMul(ct, d.r), ct_c * kept], [ct]

    last = [op.zeros_like(d.initial[0]) if ct is None else ct for ct in (ct_h, ct_c)]
    initial, [gates] = op.scan(step, last, read, backwards=not d.turned)
    steps = op.product(time, batch)
    rows = op.reshape(gates, [steps, size])
    # Turned once for both weights; the reshape keeps the runtime from turning it in each product.
    columns = op.reshape(op.Transpose(gates, perm=[2, 0, 1]), [size, steps])
    ct_b = op.reduce_sum(rows, [0], keepdims=False)
    return [
        op.reshape(op.MatMul(rows, d.w), [time, batch, inputs]),
        op.MatMul(columns, op.reshape(x, [steps, inputs])),
        op.MatMul(columns, op.reshape(d.before(op, 0), [steps, hidden])),
        op.Concat(ct_b, ct_b, axis=0),
        *initial,
    ]


def _slopes(op: Op, d: Direction) -> list[Tensor]:
    """How a cotangent passes each step: from the cell state, or the hidden one, to what is added up
    in the gates; from the hidden state to the cell state; from the cell state to the one before.

    For all steps at once, which all threads share; arrays of one step are too small for that.
    """
    i, o, f, g = d.gates
    before, squashed = d.before(op, 1), op.Tanh(d.states[1])
    slopes = [
        g * i * (1.0 - i),
        squashed * o * (1.0 - o),
        before * f * (1.0 - f),
        i * (1.0 - g * g),
    ]
    return [op.Concat(*slopes, axis=-1), o * (1.0 - squashed * squashed), f]


def _parts(op: Op, x: Tensor, axis: int, count: int) -> list[Tensor]:
    """What each direction has of a tensor."""
    parts = [x] if count == 1 else op.split(x, op.ints(1, 1), axis, 2)
    return [op.squeeze(part, axis) for part in parts]


def _together(op: Op, parts: Sequence[Tensor], axis: int) -> Tensor:
    """The inverse of `_parts`."""
    parts = [op.unsqueeze(part, axis) for part in parts]
    return parts[0] if len(parts) == 1 else op.Concat(*parts, axis=axis)


def _covered(node: ir.Node) -> bool:
    """Whether a node is large, and no rarer use of the operator than is said here."""
    x, w, r = node.inputs[:3]
    further = [*node.inputs[3:], *[None] * 5]
    named = node.attributes.get("activations")
    names = [] if named is None else [str(name).lower() for name in named.as_strings()]
    rare = "clip" in node.attributes or int_of(node, "input_forget", 0) or int_of(node, "layout", 0)
    if (
        rare
        or further[1] is not None
        or further[4] is not None
        or names not in ([], _USUAL, 2 * _USUAL)
    ):
        return False
    if x is None or x.dtype not in _DTYPES or x.shape is None:
        return False
    return min(map(_elements, (w, r))) > 0 and sum(map(_elements, (w, r))) >= LARGE


def _elements(weight: ir.Value | None) -> int:
    """How many elements each direction has of a weight; 0 where that is not known."""
    if weight is None or weight.shape is None or not weight.shape.is_static():
        return 0
    _, rows, columns = weight.shape.numpy()
    return rows * columns


def _text(node: ir.Node, name: str, default: str) -> str:
    return node.attributes[name].as_string() if name in node.attributes else default
