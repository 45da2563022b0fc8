"""Whether Portgrad's gradients of the zoo are those of PyTorch, in float32, and how nearly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

import portgrad
from benchmarks import sides
from benchmarks.apart import apart
from benchmarks.given import Given
from benchmarks.rows import Row
from benchmarks.zoo import ZOO
from benchmarks.zoo.files import exported

TABLE = "Gradients agree with PyTorch's"
# Of float32: what a few hundred operators round. A ReLU whose operand is that near to zero may pass
# a cotangent on the one side and not on the other.
GOAL = 1e-3
Arrays = dict[str, np.ndarray]


def rows(given: Given) -> Iterator[Row]:
    """A row for each net, for its inputs and for all."""
    for name, specimen in ZOO.items():
        for wrt in sides.WRT if given.wanted(name) else ():
            worst, where, compared = apart(_worst, name, exported(name, given.folder), wrt)
            note = f"{compared} tensors; the worst is {where}" if compared > 1 else ""
            yield Row(TABLE, specimen.title, worst, GOAL, unit="", column=wrt, note=note)


def _worst(name: str, path: Path, wrt: str) -> tuple[float, str, int]:
    """The largest difference of a tensor, relative to it; where that is; how many were compared."""
    specimen = ZOO[name]
    torch.set_num_threads(2)
    asked = sides.targets(specimen, path, wrt)
    found = dict(portgrad.load(path, threads=2).gradient(sides.arrays(specimen), wrt=asked))
    side = sides.Torch(specimen, wrt)
    theirs = {name: one.numpy() for name, one in zip(side.targets, side(), strict=True)}
    ours = (
        {"embedding": next(iter(found.values()))} if specimen.inner and wrt == "inputs" else found
    )
    if wrt == "all":
        ours = _named(ours, onnx.load(path), dict(specimen.module.named_parameters()))
    least = 1e-4 * max(
        float(np.linalg.norm(one)) for one in theirs.values()
    )  # some are all rounding
    errors = {
        name: float(np.linalg.norm(ours[name] - one) / (np.linalg.norm(one) + least))
        for name, one in theirs.items()
    }
    where = max(errors, key=errors.__getitem__)
    return errors[where], where, len(errors)


def _named(
    found: Mapping[str, np.ndarray], model: onnx.ModelProto, parameters: dict[str, torch.Tensor]
) -> Arrays:
    """By torch's names and in its layout: the exporter renames some parameters, or transposes."""
    held: dict[tuple[int, ...], list[tuple[str, np.ndarray]]] = {}
    for one in model.graph.initializer:
        held.setdefault(tuple(one.dims), []).append((one.name, numpy_helper.to_array(one)))
    ours: Arrays = {name: one for name, one in found.items() if name not in parameters}
    for name, weight in parameters.items():
        array = weight.detach().numpy()
        for turned in (array, array.T):
            for there, same in held.get(turned.shape, []):
                if np.array_equal(turned, same):
                    ours[name] = found[there] if turned is array else found[there].T
    return ours
