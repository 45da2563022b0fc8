"""Nets that run: sessions, caches, batches. The library's API lives here."""

from portgrad.engine.gradcheck import Report
from portgrad.engine.net import Net, load
from portgrad.engine.results import Gradients, Outputs
from portgrad.engine.written import GradientFile

__all__ = ["GradientFile", "Gradients", "Net", "Outputs", "Report", "load"]
