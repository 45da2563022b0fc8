"""Reverse-mode differentiation of ONNX graphs: rules, the sweep, and the graphs they make."""

from portgrad.autodiff import rules
from portgrad.autodiff.body_shapes import know_shapes
from portgrad.autodiff.codes import EXACT, STRAIGHT_THROUGH, Quantized
from portgrad.autodiff.compile import GRADIENT, SEED, GradientGraph, gradient_graph
from portgrad.autodiff.cuts import foreseen
from portgrad.autodiff.obstacles import obstacles

know_shapes()

__all__ = [
    "EXACT",
    "GRADIENT",
    "SEED",
    "STRAIGHT_THROUGH",
    "GradientGraph",
    "Quantized",
    "foreseen",
    "gradient_graph",
    "obstacles",
    "rules",
]
