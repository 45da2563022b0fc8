"""The rules, one file per family of operators; importing this package registers them all."""

from portgrad.autodiff.rules import (
    arithmetic,
    convolution,
    einsum,
    flat,
    indexing,
    linear_algebra,
    normalization,
    padding,
    pooling,
    powers,
    reductions,
    resizing,
    shaping,
    softmax,
    unary,
)

__all__ = [
    "arithmetic",
    "convolution",
    "einsum",
    "flat",
    "indexing",
    "linear_algebra",
    "normalization",
    "padding",
    "pooling",
    "powers",
    "reductions",
    "resizing",
    "shaping",
    "softmax",
    "unary",
]
