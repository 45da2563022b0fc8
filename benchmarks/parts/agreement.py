"""Whether Portgrad's gradients of the zoo are those of PyTorch.

Judged in float64, where both can be had nearly exactly. In float32 a ReLU whose operand is near to
zero may pass a cotangent on the one side and not on the other, so that deep nets differ by more
than rounding: Portgrad's distance from float64 is held to a few times PyTorch's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
from benchmarks.zoo import ZOO, Specimen
from benchmarks.zoo.files import exported

TABLE = "Gradients agree with PyTorch's in float64"
EXACT = 1e-6  # what float64 leaves of a few hundred operators, where sums nearly cancel
# Of float32: its rounding, or so many times what PyTorch is off.
LEAST, TIMES = 1e-5, 5
Arrays = dict[str, np.ndarray]
Worst = tuple[float, str]
Layout = dict[str, tuple[str, bool]]


def rows(given: Given) -> Iterator[Row]:
    """Rows for each net, for its inputs and for all."""
    for name in filter(given.wanted, ZOO):
        for wrt in sides.WRT:
            found = apart(_worst, name, exported(name, given.folder), wrt)
            yield from _rows(ZOO[name].title, wrt, found)


def _rows(what: str, wrt: str, found: Mapping[str, Worst]) -> Iterator[Row]:
    exact, where = found["double"]
    note = f"worst at {where}" if exact > EXACT else ""
    yield Row(TABLE, what, exact, EXACT, unit="", column=f"{wrt}, float64", note=note)
    single, where = found["single"]
    theirs, there = found["torch"]
    note = f"worst at {where}; PyTorch's own worst is {theirs:.2g}, at {there}"
    goal = max(LEAST, TIMES * theirs)
    yield Row(TABLE, what, single, goal, unit="", column=f"{wrt}, float32", note=note)


def _worst(name: str, path: Path, wrt: str) -> dict[str, Worst]:
    """The largest relative difference of a tensor from PyTorch in float64, and where that is."""
    specimen = ZOO[name]
    torch.set_num_threads(2)
    asked = sides.targets(specimen, path, wrt)
    layout = _layout(onnx.load(path), dict(specimen.module.named_parameters()))
    data = {port: array.copy() for port, array in sides.arrays(specimen).items()}
    single = _theirs(specimen, wrt)
    specimen.module.double()
    specimen.inputs.update({n: _double(x) for n, x in specimen.inputs.items()})
    double = _theirs(specimen, wrt)
    vars(specimen).pop("module")  # large, and not needed any more
    found = {"torch": _difference(single, double)}
    del single
    for which, precision in (("single", None), ("double", "float64")):
        ours = _named(_ours(path, data, asked, precision), layout, double)
        found[which] = _difference(ours, double)
        del ours  # before the next are made
    return found


def _ours(
    path: Path, data: Arrays, asked: str | list[str], precision: str | None
) -> Mapping[str, np.ndarray]:
    if precision:
        data = {n: x.astype(precision) if x.dtype == np.float32 else x for n, x in data.items()}
    return portgrad.load(path, threads=2).gradient(data, wrt=asked, precision=precision)


def _double(x: torch.Tensor) -> torch.Tensor:
    return x.detach().double() if x.is_floating_point() else x


def _theirs(specimen: Specimen, wrt: str) -> Arrays:
    side = sides.Torch(specimen, wrt)
    return {name: one.numpy() for name, one in zip(side.targets, side(), strict=True)}


def _difference(found: Arrays, expected: Arrays) -> Worst:
    norms = {name: float(np.linalg.norm(one)) for name, one in expected.items()}
    least = 1e-4 * max(norms.values())  # some are zero but for rounding, as those of keys' biases
    errors = {
        name: float(np.linalg.norm(found[name] - one)) / max(norms[name], least)
        for name, one in expected.items()
    }
    where = max(errors, key=errors.__getitem__)
    return errors[where], where


def _layout(model: onnx.ModelProto, parameters: dict[str, torch.Tensor]) -> Layout:
    """By torch's names those of the file, which are others for some, and whether transposed."""
    held: dict[tuple[int, ...], list[tuple[str, np.ndarray]]] = {}
    for one in model.graph.initializer:
        held.setdefault(tuple(one.dims), []).append((one.name, numpy_helper.to_array(one)))
    found = {}
    for name, weight in parameters.items():
        array = weight.detach().numpy()
        for turned, shown in ((False, array), (True, array.T)):
            for there, same in held.get(shown.shape, []):
                if np.array_equal(shown, same):
                    found[name] = (there, turned)
    return found


def _named(found: Mapping[str, np.ndarray], layout: Layout, names: Iterable[str]) -> Arrays:
    """By torch's names, and in its layout."""
    if len(found) == 1:
        return dict(zip(names, found.values(), strict=True))
    places = {name: layout.get(name, (name, False)) for name in names}
    return {
        name: found[there].T if turned else found[there] for name, (there, turned) in places.items()
    }
