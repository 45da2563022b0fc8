"""The ONNX graph in memory: load, check, normalise, ports and paths, builder vocabulary."""

from portgrad.graph import contrib
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

contrib.register()

__all__ = ["NetFiles", "load"]
