"""Operators in float64 of which the runtime has no such kernel, said in those of which it has.

Each is a body as in `rules`: operands in, the same outputs out. They serve graphs whose tensors
are float64 already; which nodes need them is the engine's to know.
"""

from portgrad.autodiff.doubles import (
    constants,
    convolution,
    inverse,
    moving,
    normalization,
    pooling,
    quantisation,
    rectifiers,
    recurrent,
    regions,
    resizing,
    unary,
)
from portgrad.autodiff.doubles.net import doubled, in_other_operators, refused

__all__ = [
    "constants",
    "convolution",
    "doubled",
    "in_other_operators",
    "inverse",
    "moving",
    "normalization",
    "pooling",
    "quantisation",
    "rectifiers",
    "recurrent",
    "refused",
    "regions",
    "resizing",
    "unary",
]
