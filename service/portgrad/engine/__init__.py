"""Nets that run: sessions, caches, batches. The library's API lives here."""

from portgrad.engine.net import Net, load
from portgrad.engine.results import Gradients, Outputs

__all__ = ["Gradients", "Net", "Outputs", "load"]
