"""The gradient of a net of the zoo by each side, as calls that can take turns.

`wrt` is "inputs" or "all". Where inputs are tokens, "inputs" means the output of their embedding.
What is differentiated is the sum of the output.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

import portgrad
from benchmarks.turns import Call
from benchmarks.zoo import Specimen

WRT = ("inputs", "all")


def targets(specimen: Specimen, path: Path, wrt: str) -> str | list[str]:
    """What Portgrad is asked for."""
    if wrt == "all" or specimen.inner is None:
        return wrt
    shape = list(specimen.module.get_submodule(specimen.inner).weight.shape)
    graph = onnx.load(path).graph
    tables = {one.name for one in graph.initializer if list(one.dims) == shape}
    return [next(n.output[0] for n in graph.node if n.op_type == "Gather" and n.input[0] in tables)]


def gradient(specimen: Specimen, path: Path, wrt: str, net: portgrad.Net) -> Call:
    """Portgrad's."""
    data, asked = arrays(specimen), targets(specimen, path, wrt)
    return lambda: net.gradient(data, wrt=asked)


def forward(specimen: Specimen, path: Path, threads: int) -> Call:
    """The forward pass, by onnxruntime with a default session."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    data = arrays(specimen)
    return lambda: session.run(None, data)


def arrays(specimen: Specimen) -> dict[str, np.ndarray]:
    """The data, as both runtimes take them."""
    return {name: x.detach().numpy() for name, x in specimen.inputs.items()}


class Torch:
    """PyTorch's, by autograd of the module as it is, or as its compiler makes it.

    It changes the specimen's module: one of them in a process.
    """

    def __init__(self, specimen: Specimen, wrt: str) -> None:
        self._data = dict(specimen.inputs)
        everything = wrt == "all"
        self.targets = {n: x.requires_grad_() for n, x in self._data.items() if _floating(x)}
        for name, weight in specimen.module.named_parameters():
            weight.requires_grad_(everything)
            if everything:
                self.targets[name] = weight
        if specimen.inner and not everything:
            self.targets["embedding"] = _moved(specimen)
        self._run: Callable[..., Tensor] = specimen.module

    def compiled(self) -> Torch:
        """The same by `torch.compile`, which compiles when it is called first."""
        other = copy.copy(self)
        other._run = torch.compile(self._run)
        return other

    def __call__(self) -> tuple[Tensor, ...]:
        return torch.autograd.grad(self._run(*self._data.values()).sum(), [*self.targets.values()])


def _floating(x: Tensor) -> bool:
    return x.is_floating_point()


def _moved(specimen: Specimen) -> Tensor:
    """A leaf of zeros that is added to the output of the embedding: it has the gradient of that."""
    embedding = specimen.module.get_submodule(specimen.inner or "")
    with torch.no_grad():
        leaf = torch.zeros_like(embedding(*specimen.inputs.values())).requires_grad_()
    embedding.register_forward_hook(lambda _, __, found: found + leaf)
    return leaf
