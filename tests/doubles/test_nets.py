"""Whole nets in double precision: those of exporters, pipelines of scikit-learn, real ones.

Gradients are the frameworks' own to float32's precision, and central differences of the net to
1e-6, which no float32 inside would let them be.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import portgrad
from portgrad.engine.results import Gradients
from support import quantised_nets
from support.exporters import sample as samples
from support.exporters.judge import relative
from support.pipelines import FOLDER as PIPELINES
from support.real_nets import folder

STEP, CLOSE = 1e-5, 1e-6
# float32 through a dozen layers; gradients that cancel are measured against 1e-3.
SINGLE = 2e-3
CLOSE_TO_THEIRS = 1e-4  # what their own tests allow a pipeline's float32
Arrays = dict[str, np.ndarray]


# Two files that differ in an opset or in how attention is written; the largest takes two seconds.
_LEFT_OUT = {"attention_23", "bert_eager", "llama_eager", "norms_16", "norms_23", "unet"}


def _one_of_each() -> list[Path]:
    """A net that several exporters write is taken from one."""
    files = {path.stem: path for path in sorted(samples.FOLDER.glob("*/*.onnx"))}
    return [path for stem, path in files.items() if stem not in _LEFT_OUT]


@functools.cache
def _net(path: Path) -> portgrad.Net:
    return portgrad.load(path, threads=1)


def check(net: portgrad.Net, sample: samples.Sample) -> None:
    """Outputs and gradients are those that lie beside the net; those at ports are differences."""
    floats = [n for n, x in sample.inputs.items() if x.dtype.kind == "f"]
    data = {n: x.astype(np.float64) if n in floats else x for n, x in sample.inputs.items()}
    wrt = list(dict.fromkeys([*floats, *sample.gradients]))
    y = net.evaluate(data, precision="float64")
    if not wrt:  # words are counted
        assert any(a.dtype == np.float64 for a in y.values())
        return
    seeds = {n: seed.reshape(y[n].shape) for n, seed in sample.seeds.items()}
    found = net.gradient(data, wrt=wrt, output_gradients=seeds, precision="float64")
    shaped = {n: want.reshape(y[n].shape) for n, want in sample.outputs.items()}
    for got, wanted in ((y, shaped), (found, sample.gradients)):
        assert all(got[name].dtype == np.float64 for name in wanted)
        errors = relative(got, wanted)
        assert {name: error for name, error in errors.items() if error > CLOSE_TO_THEIRS} == {}
    _differences(net, data, found, seeds)


def check_beside_float32(net: portgrad.Net, data: Arrays) -> None:
    """The same beside the net's own gradients, by all that has one."""
    floating = {**net.names.inputs, **net.names.parameters}
    wrt = [name for name, value in floating.items() if net.names.none_reason(value) is None]
    single = net.gradient(data, wrt=wrt)
    wide = {n: x.astype(np.float64) if x.dtype.kind == "f" else x for n, x in data.items()}
    double = net.gradient(wide, wrt=wrt, precision="float64")
    for name, want in single.items():
        assert double[name].dtype == np.float64, name
        assert _error(double[name], want) <= SINGLE, name
    _differences(net, wide, double, None)


def _error(got: np.ndarray, want: np.ndarray) -> float:
    if want.dtype.kind != "f":
        return float(not np.array_equal(got, want))
    both = np.abs(np.nan_to_num(got) - np.nan_to_num(want.astype(np.float64)))
    return float(np.max(both, initial=0) / (1e-3 + np.max(np.abs(np.nan_to_num(got)), initial=0)))


def _differences(net: portgrad.Net, data: Arrays, found: Gradients, seeds: Arrays | None) -> None:
    rng = np.random.default_rng(3)
    v = {n: rng.standard_normal(x.shape) for n, x in data.items() if n in found}

    def total(step: float) -> float:
        moved = {n: x + step * v[n] if n in v else x for n, x in data.items()}
        y = net.evaluate(moved, precision="float64")
        floats = {n: a for n, a in y.items() if a.dtype == np.float64}
        weights: Mapping[str, np.ndarray] = seeds or {n: np.ones(()) for n in floats}
        return float(sum(np.sum(floats[n] * weights[n]) for n in weights))

    exact = sum(float(np.vdot(found[name], v[name])) for name in v)
    numeric = (total(STEP) - total(-STEP)) / (2 * STEP)
    scale = 1.0 + sum(float(np.linalg.norm(found[n]) * np.linalg.norm(v[n])) for n in v)
    assert abs(exact - numeric) <= CLOSE * scale


@pytest.mark.parametrize("path", _one_of_each(), ids=lambda path: path.stem)
def test_nets_of_exporters(path: Path) -> None:
    check(_net(path), samples.read(path.with_suffix(".npz")))


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.onnx")), ids=lambda path: path.stem)
def test_pipelines(path: Path) -> None:
    check(_net(path), samples.read(path.with_suffix(".npz")))


@pytest.mark.parametrize("quantized", ["exact", "straight_through"])
@pytest.mark.parametrize("form", ["pairs", "codes", "dynamic"])
def test_quantised_nets(form: str, quantized: str) -> None:
    """Codes are those of float32, and the estimate too; scales and products are doubles."""
    make = quantised_nets.mlp
    data = quantised_nets.dynamic(make) if form == "dynamic" else None
    net = portgrad.load(data or quantised_nets.static(make, form == "pairs"), threads=1)
    x = quantised_nets.data(make())
    asked = {"wrt": "all", "outputs": True, "quantized": quantized}
    single, double = net.gradient(x, **asked), net.gradient(x, precision="float64", **asked)
    assert single.warnings == double.warnings
    for name, want in (*single.items(), *single.outputs.items()):
        got = double[name] if name in single else double.outputs[name]
        assert got.dtype == np.float64
        assert _error(got, want) <= SINGLE, name


@pytest.mark.skipif(folder() is None, reason="no folder of real nets")
@pytest.mark.parametrize("name", ["Convnet_maxpool", "acasxu_1_1", "resnet_2b"])
def test_real_nets(name: str) -> None:
    place = folder()
    assert place is not None
    net, rng = _net(place / f"{name}.onnx"), np.random.default_rng(5)
    shapes = {n: net.names.shape(n) or () for n in net.names.inputs}
    known = {n: [d if isinstance(d, int) else 1 for d in dims] for n, dims in shapes.items()}
    check_beside_float32(net, {n: rng.random(dims).astype(np.float32) for n, dims in known.items()})
