"""Differentiation of ONNX graphs: rules, the sweep, and the graphs they make."""

from portgrad.autodiff import rules
from portgrad.autodiff.body_shapes import know_shapes
from portgrad.autodiff.codes import EXACT, STRAIGHT_THROUGH, Quantized
from portgrad.autodiff.compile import GRADIENT, SEED, GradientGraph, gradient_graph
from portgrad.autodiff.cuts import foreseen
from portgrad.autodiff.doubles import doubled
from portgrad.autodiff.gradient_operator import expand_gradients
from portgrad.autodiff.moved import MOVE, moved_graph
from portgrad.autodiff.obstacles import obstacles
from portgrad.autodiff.per_example import NotApart
from portgrad.autodiff.products import HVP, JVP, TANGENT, hvp_graph, jvp_graph

know_shapes()

__all__ = [
    "EXACT",
    "GRADIENT",
    "HVP",
    "JVP",
    "MOVE",
    "SEED",
    "STRAIGHT_THROUGH",
    "TANGENT",
    "GradientGraph",
    "NotApart",
    "Quantized",
    "doubled",
    "expand_gradients",
    "foreseen",
    "gradient_graph",
    "hvp_graph",
    "jvp_graph",
    "moved_graph",
    "obstacles",
    "rules",
]
