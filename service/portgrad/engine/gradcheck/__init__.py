"""Gradients held against differences: along random lines, then node by node where they differ."""

from portgrad.engine.gradcheck.checking import gradcheck
from portgrad.engine.gradcheck.report import Checked, Disagreement, Place, Report

__all__ = ["Checked", "Disagreement", "Place", "Report", "gradcheck"]
