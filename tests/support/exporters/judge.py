"""What is checked of each exported net: the framework's gradients, and differences in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

import portgrad
from portgrad.engine.results import Gradients
from support.double import Arrays, directional, in_double, runner
from support.exporters.sample import Sample, read

# Rounding of float64 is 1e-16 / STEP; the nets are a few layers deep and of order one.
STEP = 1e-6


@dataclass(frozen=True)
class Judged:
    """A net of the folder, loaded, with the point that lies beside it."""

    path: Path
    net: portgrad.Net
    model: onnx.ModelProto
    sample: Sample

    @classmethod
    def load(cls, path: Path) -> Judged:
        """Load the file and its archive."""
        net = portgrad.load(path, threads=1)
        return cls(path, net, onnx.load(path), read(path.with_suffix(".npz")))

    def gradients(self, data: Arrays, seeds: Arrays) -> dict[str, Gradients]:
        """By each group of targets that has any."""
        groups = {"inputs": self.net.names.inputs, "parameters": self.net.names.parameters}
        has = {
            group: any(self.net.names.none_reason(value) is None for value in values.values())
            for group, values in groups.items()
        }
        return {
            group: self.net.gradient(data, wrt=group, output_gradients=seeds)
            for group in groups
            if has[group]
        }


def relative(found: Mapping[str, np.ndarray], wanted: Arrays) -> dict[str, float]:
    """|found - wanted| / |wanted| for each tensor.

    Where a gradient is 0 by cancellation, as at the bias of attention's keys, it is rounding of
    what cancels: |wanted| counts as a thousandth of the largest one at least.
    """
    sizes = {name: float(np.linalg.norm(g)) for name, g in wanted.items()}
    least = 1e-3 * max(sizes.values(), default=0.0) or 1.0
    return {
        name: float(np.linalg.norm(found[name].astype(np.float64) - g)) / max(sizes[name], least)
        for name, g in wanted.items()
    }


def resized(judged: Judged, sizes: Mapping[str, int]) -> tuple[Arrays, Arrays]:
    """The point's data at other sizes of open axes, repeated or cut, and cotangents that fit."""
    data = dict(judged.sample.inputs)
    for port in judged.model.graph.input:
        for axis, dim in enumerate(port.type.tensor_type.shape.dim):
            if dim.dim_param in sizes and port.name in data:
                places = np.arange(sizes[dim.dim_param]) % data[port.name].shape[axis]
                data[port.name] = data[port.name].take(places, axis)
    rng = np.random.default_rng(3)
    outputs = judged.net.evaluate(data)
    return data, {
        name: rng.standard_normal(outputs[name].shape).astype(np.float32)
        for name in judged.sample.seeds
    }


def errors_of_differences(
    judged: Judged, data: Arrays, seeds: Arrays, found: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """|<g, v> - difference| / |g| |v|: along a few directions of all targets at once, and of each
    one that the framework has no gradient of."""
    forward = runner(_opened(judged.model, tuple(judged.sample.outputs)))
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in judged.model.graph.initializer}
    known = {**held, **data}
    feeds = {name: _wide(known[name]) for name in _ports(judged.model)}
    targets = {name: g for name, g in found.items() if name in feeds}
    alone = [name for name in targets if name not in judged.sample.gradients]
    wanted = {"all": list(targets), "again": list(targets), **{name: [name] for name in alone}}
    rng = np.random.default_rng(11)
    widened = [
        _wide(seeds[name]) if name in seeds else np.zeros(()) for name in judged.sample.outputs
    ]
    least = 1e-3 * max(float(np.linalg.norm(g)) for g in targets.values())
    errors = {}
    for label, names in wanted.items():
        v = {name: rng.standard_normal(targets[name].shape) for name in names}
        exact = sum(float(np.vdot(targets[name].astype(np.float64), v[name])) for name in names)
        numeric = directional(forward, feeds, widened, v, STEP)
        size = sum(float(np.linalg.norm(targets[name])) ** 2 for name in names) ** 0.5
        errors[label] = abs(exact - numeric) / max(size, least)
    return errors


def _ports(model: onnx.ModelProto) -> list[str]:
    floats = [t.name for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]
    return list(dict.fromkeys([*(port.name for port in model.graph.input), *floats]))


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype == np.float32 else array


def _opened(model: onnx.ModelProto, outputs: tuple[str, ...]) -> onnx.ModelProto:
    """The model in float64 with its floating parameters as inputs."""
    wide = in_double(model)
    graph = wide.graph
    ports = {port.name for port in graph.input}
    moved = [t for t in graph.initializer if t.data_type == TensorProto.DOUBLE]
    kept = [t for t in graph.initializer if t.data_type != TensorProto.DOUBLE]
    graph.input.extend(
        onnx.helper.make_tensor_value_info(t.name, TensorProto.DOUBLE, t.dims)
        for t in moved
        if t.name not in ports
    )
    del graph.initializer[:]
    graph.initializer.extend(kept)
    graph.ClearField("value_info")
    return wide
