"""What is checked of each exported net: the framework's gradients, and differences in float64."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

import portgrad
from portgrad.graph import functions
from support.double import Arrays, directional, in_double, moved, runner
from support.exporters.sample import Exported, Sample, read

Forward = Callable[[Arrays], list[np.ndarray]]

# float32 through a few dozen layers; measured worst: 1e-6. A wrong rule errs by 0.1 or more.
CLOSE = 1e-5
# The gradient of a scalar that an exporter left as a constant is one sum over all that it touches.
CANCELLING = 1e-4
# No engine has a double kernel of these: their rounding of 1e-7 is divided by a larger step.
_SINGLE_INSIDE = {"InstanceNormalization", "Resize"}


@dataclass(frozen=True)
class Judged:
    """A net of the folder, loaded, with the point that lies beside it."""

    net: portgrad.Net
    model: onnx.ModelProto
    sample: Sample

    @classmethod
    def load(cls, path: Path) -> Judged:
        """Load the file and its archive."""
        net = portgrad.load(path, threads=1)
        return cls(net, onnx.load(path), read(path.with_suffix(".npz")))

    @classmethod
    def of(cls, exported: Exported) -> Judged:
        """A net that was not written."""
        net = portgrad.load(exported.model.SerializeToString(), threads=1)
        return cls(net, exported.model, exported.sample)

    def gradients(self, data: Arrays, seeds: Arrays) -> Arrays:
        """By all targets that have any, and by the embedded tokens that the sample knows."""
        names = self.net.names
        targets = {**names.inputs, **names.parameters}
        wrt = [name for name, value in targets.items() if names.none_reason(value) is None]
        wrt += [name for name in self.sample.gradients if name not in targets]
        return dict(self.net.gradient(data, wrt=wrt, output_gradients=seeds))

    def all_gradients(self) -> Arrays:
        """At the sample's own point."""
        return self.gradients(self.sample.inputs, self.sample.seeds)


def relative(found: Mapping[str, np.ndarray], wanted: Arrays) -> dict[str, float]:
    """|found - wanted| / |wanted| for each tensor.

    Where a gradient is 0 by cancellation, as at the bias of attention's keys, it is rounding of
    what cancels: |wanted| counts as a hundredth of the largest one at least.
    """
    sizes = {name: float(np.linalg.norm(g)) for name, g in wanted.items()}
    least = 1e-2 * max(sizes.values(), default=0.0) or 1.0
    return {
        name: float(np.linalg.norm(found[name].astype(np.float64) - g)) / max(sizes[name], least)
        for name, g in wanted.items()
    }


def resized(judged: Judged, batch: int, length: int) -> tuple[Arrays, Arrays]:
    """The point's data at another batch size and length of sequences, repeated or cut, and
    cotangents that fit. Each open axis that is no length is one of batches.
    """
    data = dict(judged.sample.inputs)
    for port in judged.model.graph.input:
        for axis, dim in enumerate(port.type.tensor_type.shape.dim):
            if not dim.dim_value and port.name in data:
                size = length if dim.dim_param == "length" else batch
                places = np.arange(size) % data[port.name].shape[axis]
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
    """|<g, v> - difference| / |g|, for normal directions v: some of all targets that the framework
    has gradients of together, and one of each other target alone. In units of what is allowed.
    """
    forward = runner(opened(judged.model, seeds))
    step, allowed = _rounding(judged.model)
    feeds = {**_parameters(judged.model), **data}
    feeds = {name: _wide(feeds[name]) for name in _ports(judged.model)}
    wide_seeds = [_wide(seed) for seed in seeds.values()]
    compared = {name for n in judged.model.graph.node if n.op_type == "Equal" for name in n.input}
    movable = (n for n in feeds if n in found.keys() - compared and _ordinary(feeds[n]))
    targets = {name: found[name] for name in movable if np.isfinite(found[name]).all()}
    known = [name for name in targets if name in judged.sample.gradients]
    others = {name: [name] for name in targets if name not in known}
    rng = np.random.default_rng(11)
    least = 1e-2 * max(float(np.linalg.norm(g)) for g in targets.values()) or 1.0
    errors = {}
    for label, names in {"all": known, "all again": known, **others}.items():
        aimed = {name: targets[name] for name in names}
        size = sum(float(np.linalg.norm(g)) ** 2 for g in aimed.values()) ** 0.5
        close = max(allowed, CANCELLING) if label in others else allowed
        far = close * max(size, least)
        differ = functools.partial(_differ, forward, feeds, wide_seeds, step)
        errors[label] = _error(differ, aimed, far, rng) / far
    return errors


def _differ(
    forward: Forward, feeds: Arrays, seeds: list[np.ndarray], step: float, v: Arrays
) -> tuple[float, float]:
    """Differences along v ahead and behind."""
    ahead, behind = (
        directional(forward, moved(feeds, v, middle), seeds, v, step / 2)
        for middle in (step / 2, -step / 2)
    )
    return ahead, behind


def _error(
    differ: Callable[[Arrays], tuple[float, float]],
    gradients: Arrays,
    kink: float,
    rng: np.random.Generator,
) -> float:
    """|<g, v> - difference| along a random v with no kink within a step.

    A kink is where differences from both sides disagree by more than what is allowed.
    """
    for _ in range(20):
        v = {name: rng.standard_normal(g.shape) for name, g in gradients.items()}
        ahead, behind = differ(v)
        if abs(ahead - behind) <= kink:
            exact = sum(float(np.vdot(g.astype(np.float64), v[n])) for n, g in gradients.items())
            return abs(exact - (ahead + behind) / 2)
    raise AssertionError(f"no smooth direction of {list(gradients)} was found")


def _rounding(model: onnx.ModelProto) -> tuple[float, float]:
    """The step of differences, and what they may err by."""
    single = _SINGLE_INSIDE & {node.op_type for node in model.graph.node}
    return (1e-4, 1e-2) if single else (1e-6, CLOSE)


def _ordinary(array: np.ndarray) -> bool:
    """Whether a step can be taken: not from minus infinity, or what stands for it in a mask."""
    return bool((np.abs(array) < 1e4).all())


def _parameters(model: onnx.ModelProto) -> Arrays:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _ports(model: onnx.ModelProto) -> list[str]:
    floats = [t.name for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]
    return list(dict.fromkeys([*(port.name for port in model.graph.input), *floats]))


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype == np.float32 else array


def opened(model: onnx.ModelProto, outputs: Iterable[str]) -> onnx.ModelProto:
    """The model in float64, its functions inlined, with its floating parameters as inputs."""
    # onnx's own inliner forgets the defaults of a function's attributes.
    wide = in_double(functions.inline(model))
    graph = wide.graph
    known = {port.name: port for port in graph.output}
    del graph.output[:]
    graph.output.extend(known[name] for name in outputs)
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
