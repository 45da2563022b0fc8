"""Nets that run: sessions, caches, batches. The library's API lives here."""

import os

# It would keep a database of events in the user's cache folder, open for writing, and a thread.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from portgrad.engine.gradcheck import Report
from portgrad.engine.net import Net, load
from portgrad.engine.results import Gradients, Outputs
from portgrad.engine.written import GradientFile

__all__ = ["GradientFile", "Gradients", "Net", "Outputs", "Report", "load"]
