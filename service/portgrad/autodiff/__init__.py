"""Reverse-mode differentiation of ONNX graphs: rules, the sweep, and the graphs they make."""

from portgrad.autodiff import rules
from portgrad.autodiff.body_shapes import know_shapes
from portgrad.autodiff.compile import GRADIENT, SEED, GradientGraph, gradient_graph
from portgrad.autodiff.obstacles import obstacles
from portgrad.autodiff.survey import Survey, survey

know_shapes()

__all__ = [
    "GRADIENT",
    "SEED",
    "GradientGraph",
    "Survey",
    "gradient_graph",
    "obstacles",
    "rules",
    "survey",
]
