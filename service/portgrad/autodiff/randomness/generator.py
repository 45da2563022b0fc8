"""Random numbers as a function of a key and a position: SplitMix64, in numbers and in operators.

The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA
2014), with the constants of its reference implementation: the number at a position is `mix(key +
position * GAMMA)`, all in 64 bits. A key is split in the same way, once for each thing that tells
draws apart, so that the keys of two nodes, iterations or seeds are themselves random numbers.

A uniform number is the middle of one of 2**23 equal parts of (0, 1), in float64 of 2**52: both are
exact, never 0 or 1, and float32 ones are the same when a net is cast to double.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.draws import COUNTS, SHAPES

GAMMA = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ALL = 2**64 - 1
_SEEDS = 2**63  # of an int64 that is not negative
_HALF = 32  # bits: in float32, and for normal numbers, two elements share a number of 64


# -- in numbers ------------------------------------------------------------------------------------


def mix(z: int) -> int:
    """A bijection of 64 bits that flips about half of them whichever one changes."""
    z = ((z ^ (z >> 30)) * _FIRST) & _ALL
    z = ((z ^ (z >> 27)) * _SECOND) & _ALL
    return z ^ (z >> 31)


def split(key: int, word: int) -> int:
    """The key for one of the things that are told apart by a number."""
    return mix((key + (word + 1) * GAMMA) & _ALL)


def seed_of_example(seed: int, index: int) -> int:
    """The seed for one example of a batch whose examples are run one by one.

    The first has that of the call, so that a batch of one draws what the same array draws as it is.

    Args:
        seed: the seed of the whole call.
        index: the example's place in the batch.
    """
    return split(split(seed, index), 0) % _SEEDS if index else seed


# -- in operators ----------------------------------------------------------------------------------


def mixed(op: Op, z: Tensor) -> Tensor:
    """`mix` of each element (uint64)."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        z = op.BitwiseXor(z, _shifted(op, z, shift)) * factor
    return op.BitwiseXor(z, _shifted(op, z, 31))


def root(op: Op, seed: Tensor) -> Tensor:
    """The key of a seed (int64, 0-d)."""
    return mixed(op, op.Cast(seed, to=ir.DataType.UINT64) + GAMMA)


def branch(op: Op, key: Tensor, word: int | Tensor) -> Tensor:
    """The key for one of the things that are told apart by a number: 64 bits, or an int64 tensor.

    Numbers that are known when compiling are random ones themselves, so that they meet no
    others.
    """
    if isinstance(word, Tensor):
        word = op.Cast(word, to=ir.DataType.UINT64) * GAMMA
    return mixed(op, key + word)


def uniform(op: Op, key: Tensor, like: Tensor, dtype: ir.DataType) -> Tensor:
    """A number in (0, 1) for each element of a tensor.

    Args:
        op: the emitter.
        key: the key (uint64, 0-d).
        like: the tensor, of any type.
        dtype: float32 or float64.
    """
    if dtype == ir.DataType.DOUBLE:
        numbers = _numbers(op, key, _count(op, like))
        return _shaped(op, _fraction(op, _shifted(op, numbers, 12), 52, dtype), like)
    first, second = (
        _fraction(op, _shifted(op, half, 9), 23, dtype) for half in _halves(op, key, like)
    )
    return _joined(op, first, second, like)


def normal(op: Op, key: Tensor, like: Tensor, dtype: ir.DataType) -> Tensor:
    """A number with mean 0 and variance 1 for each element of a tensor; arguments as `uniform`'s.

    Box and Muller, "A note on the generation of random normal deviates" (1958): a radius, which is
    at most 6.8, and an angle make two of them.
    """
    far, turn = (_fraction(op, half, _HALF, dtype) for half in _halves(op, key, like))
    radius, angle = op.Sqrt(op.Log(far) * -2.0), turn * (2.0 * math.pi)
    return _joined(op, radius * op.Cos(angle), radius * op.Sin(angle), like)


def _numbers(op: Op, key: Tensor, count: Tensor) -> Tensor:
    """So many times 64 bits."""
    places = op.Range(op.index(0), count, op.index(1))
    return mixed(op, op.Cast(places, to=ir.DataType.UINT64) * GAMMA + key)


def _halves(op: Op, key: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """32 bits for each of the elements in the first half of a tensor, and in the second."""
    numbers = _numbers(op, key, op.Div(_count(op, like) + 1, 2))
    return _shifted(op, numbers, _HALF), op.BitwiseAnd(numbers, 2**_HALF - 1)


def _joined(op: Op, first: Tensor, second: Tensor, like: Tensor) -> Tensor:
    """Two halves as the elements of a tensor; the second has one too many where they are odd."""
    both = op.Concat(first, second, axis=0)
    return _shaped(op, op.Slice(both, [0], op.Reshape(_count(op, like), [1])), like)


def _count(op: Op, like: Tensor) -> Tensor:
    """The number of elements."""
    return _noted(op.Size(like), COUNTS)


def _shaped(op: Op, x: Tensor, like: Tensor) -> Tensor:
    """Draws in the shape of a tensor, also where that is rewritten for a batch."""
    return op.shaped_as(_noted(op.Reshape(x, op.Shape(like), allowzero=1), SHAPES), like)


def _noted(x: Tensor, what: str) -> Tensor:
    node = x.value.producer()
    assert node is not None, "it has just been emitted"
    node.meta[what] = True
    return x


def _fraction(op: Op, bits: Tensor, count: int, dtype: ir.DataType) -> Tensor:
    """Where in (0, 1) the middle of the part lies that some bits count."""
    return op.Cast(bits, to=dtype) * 2.0**-count + 2.0 ** -(count + 1)


def _shifted(op: Op, z: Tensor, count: int) -> Tensor:
    return op.BitShift(z, count, direction="RIGHT")
