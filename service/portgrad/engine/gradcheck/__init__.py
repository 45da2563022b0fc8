"""Gradients held against differences: along random lines, then node by node where they differ."""

from portgrad.engine.gradcheck.checking import gradcheck
from portgrad.engine.gradcheck.report import Checked, Disagreement, Report

__all__ = ["Checked", "Disagreement", "Report", "gradcheck"]
