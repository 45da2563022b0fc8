"""The ONNX graph in memory: load, check, normalise, ports and paths, builder vocabulary."""

from portgrad.graph import schemas
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

schemas.register()

__all__ = ["NetFiles", "load"]
