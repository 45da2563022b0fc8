"""Where each element of a framework's parameters is in the file that an exporter wrote.

Exporters transpose, split, join and reorder parameters, and rename them. Where all elements of a
net differ, each one is found by its value.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from support.double import Arrays


def distinct(arrays: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Parameters moved a little, until no two elements of the net are equal.

    Ones and zeros of a fresh normalisation would hide a wrong rule, too.
    """
    sizes = np.cumsum([array.size for array in arrays])[:-1]
    flat = np.concatenate([array.ravel() for array in arrays]).astype(np.float32)
    flat += 0.1 * rng.standard_normal(flat.size, np.float32)
    while True:
        _, place, count = np.unique(flat, return_inverse=True, return_counts=True)
        if count.max() == 1:
            break
        flat += 1e-3 * rng.standard_normal(flat.size, np.float32) * (count[place] > 1)
    return [
        part.reshape(array.shape) for part, array in zip(np.split(flat, sizes), arrays, strict=True)
    ]


class Elements:
    """A framework's parameters and gradients, found again in a file.

    Args:
        model: the file, its parameters being initializers.
        parameters: by the framework's names.
        gradients: by the framework's names; NaN where it has none.

    Attributes:
        gradients: of the file's tensors that consist of such elements, each one there once.
        whole: the framework's name of the parameter that a tensor of the file is.
        missed: the framework's parameters of which an element is nowhere, or several times.
    """

    def __init__(
        self, model: onnx.ModelProto, parameters: Arrays, gradients: Mapping[str, np.ndarray]
    ) -> None:
        nothing = [np.zeros(1)]
        flat = np.concatenate([x.ravel() for x in parameters.values()] or nothing)
        grads = np.concatenate([gradients[name].ravel() for name in parameters] or nothing)
        order = np.argsort(flat)
        held = {
            tensor.name: _positions(numpy_helper.to_array(tensor), flat, order)
            for tensor in model.graph.initializer
            if tensor.data_type == onnx.TensorProto.FLOAT
        }
        found = {name: places for name, places in held.items() if places is not None}
        count = np.zeros(flat.size, int)
        for places in found.values():
            np.add.at(count, places.ravel(), 1)
        self.gradients: Arrays = {
            name: grads[places].astype(np.float32)
            for name, places in found.items()
            if (count[places] == 1).all() and not np.isnan(grads[places]).any()
        }
        self.whole: dict[str, str] = {}
        self.missed: list[str] = []
        start = 0
        for name, x in parameters.items():
            span = np.arange(start, start := start + x.size)
            if (count[span] != 1).any():
                self.missed.append(name)
            for file_name, places in found.items():
                if np.array_equal(np.sort(places.ravel()), span):
                    self.whole[file_name] = name


def _positions(array: np.ndarray, flat: np.ndarray, order: np.ndarray) -> np.ndarray | None:
    """Of each element, where it is among the parameters; None where one is not there."""
    if array.size == 0:
        return None
    ranks = np.searchsorted(flat, array.ravel(), sorter=order).clip(max=flat.size - 1)
    places = order[ranks].reshape(array.shape)
    return places if np.array_equal(flat[places], array) else None
