"""The ONNX graph in memory: load, check, normalise, ports and paths, builder vocabulary."""

from portgrad.graph import classical, contrib
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

classical.register()
contrib.register()

__all__ = ["NetFiles", "load"]
