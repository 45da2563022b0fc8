"""What exporters write in place of an operator: a table of patterns.

Each form is an operator of the standard and the ways in which it is written out; longer ones, with
a scale and a bias, come first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from portgrad.autodiff.recognise.patterns import (
    Mean,
    Node,
    Number,
    Operand,
    Pattern,
    divided_by_root,
    inverse_root,
    product,
    square,
)


@dataclass(frozen=True)
class Form:
    """An operator and how it is written out.

    Attributes:
        op_type: the operator.
        version: its version, which has a rule.
        signs: an operator that each pattern has one of, at most `REACH` nodes before its last.
        patterns: each way.
        attributes: attributes beside the axis and the numbers that patterns find.
        kept: whether the operator stays in place of what was written, where the runtime computes
            it: in float32. Else its rule alone is used.
    """

    op_type: str
    version: int
    signs: frozenset[str]
    patterns: tuple[Pattern, ...]
    attributes: tuple[tuple[str, str], ...] = ()
    kept: bool = False


_X, _SCALE, _BIAS = Operand("x"), Operand("scale"), Operand("bias")
_EPSILON = Number("epsilon")


def _layer_normalizations() -> tuple[Pattern, ...]:
    centred = _X - Mean(_X)
    variance = Mean(square(centred)) + _EPSILON
    normal = divided_by_root(centred, variance)
    return (*_folded(variance), normal * _SCALE + _BIAS, normal * _SCALE, normal)


def _folded(variance: Pattern) -> tuple[Pattern, ...]:
    """As TensorFlow does it: the scale goes into the slope, and the mean into the bias."""
    ways = []
    for slope in (inverse_root(variance) * _SCALE, inverse_root(variance)):
        lowered = Node("Neg", Mean(_X)) * slope
        ways += [_X * slope + (_BIAS - Mean(_X) * slope), _X * slope + (lowered + _BIAS)]
        ways += [_X * slope + lowered]
    return tuple(ways)


def _rms_normalizations() -> tuple[Pattern, ...]:
    variance = Mean(square(_X)) + _EPSILON
    normal = divided_by_root(_X, variance)
    return normal * _SCALE, _X * (inverse_root(variance) * _SCALE), normal


def _erf_gelus() -> Pattern:
    scaled = _X / math.sqrt(2.0) | _X * math.sqrt(0.5)
    return product(_X, 0.5, Node("Erf", scaled) + 1.0)


def _tanh_gelus() -> Pattern:
    scale, cubic = math.sqrt(2.0 / math.pi), 0.044715
    cube = _X**3.0 | product(_X, _X, _X)
    inner = (_X + cube * cubic) * scale | product(_X, scale, product(_X, _X, cubic) + 1.0)
    return product(_X, 0.5, Node("Tanh", inner) + 1.0)


def _swishes() -> tuple[Pattern, ...]:
    return _X * Node("Sigmoid", _X), _X * Node("Sigmoid", _X * Number("alpha"))


def _sigmoids() -> Pattern:
    """Node by node, an exponential that overflows would give 0 · infinity."""
    grown = Node("Exp", Node("Neg", _X) | _X * -1.0) + 1.0
    return 1.0 / grown | Node("Reciprocal", grown)


_ROOTS = frozenset({"Sqrt", "Pow"})
REACH = 5  # from a root over its reciprocal, the slope, the mean and the bias to the sum

FORMS = (
    Form("LayerNormalization", 17, _ROOTS, _layer_normalizations(), kept=True),
    Form("RMSNormalization", 23, _ROOTS, _rms_normalizations()),
    Form("Gelu", 20, frozenset({"Erf"}), (_erf_gelus(),), kept=True),
    Form("Gelu", 20, frozenset({"Tanh"}), (_tanh_gelus(),), (("approximate", "tanh"),), kept=True),
    Form("Swish", 24, frozenset({"Sigmoid"}), _swishes()),
    Form("Sigmoid", 13, frozenset({"Exp"}), (_sigmoids(),)),
)
SIGNS = frozenset().union(*(form.signs for form in FORMS))
