"""Nets as exporters write them: Portgrad's gradients against the framework's own.

The files lie in `tests/data/exported`; `PYTHONPATH=tests python -m support.exporters` makes them.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from support.double import Arrays
from support.exporters.judge import CLOSE, Judged, errors_of_differences, relative, resized
from support.exporters.sample import FOLDER

FILES = sorted(FOLDER.glob("*/*.onnx"))
EXPORTERS = {"keras", "tf2onnx", "torch_dynamo", "torch_script"}


@functools.cache
def _judged(path: Path) -> Judged:
    return Judged.load(path)


def _found(judged: Judged, data: Arrays, seeds: Arrays) -> Arrays:
    """Gradients of all targets of both groups, and of embedded tokens."""
    groups = judged.gradients(data, seeds)
    found = {name: g for group in groups.values() for name, g in group.items()}
    inner = [name for name in judged.sample.gradients if name not in found]
    if inner:
        found |= judged.net.gradient(data, wrt=inner, output_gradients=seeds)
    return found


def test_each_exporter_is_there() -> None:
    assert {path.parent.name for path in FILES} == EXPORTERS


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_gradients_are_the_frameworks_own(path: Path) -> None:
    """By inputs, parameters and embedded tokens; every other floating target gets one too."""
    judged = _judged(path)
    sample = judged.sample
    outputs = judged.net.evaluate(sample.inputs)
    assert {n: e for n, e in relative(outputs.outputs, sample.outputs).items() if e > CLOSE} == {}
    found = _found(judged, sample.inputs, sample.seeds)
    names = judged.net.names
    targets = {**names.inputs, **names.parameters}
    has = {name for name, value in targets.items() if names.none_reason(value) is None}
    assert has == found.keys() & targets.keys()
    # The exponent of a negative base has none, and an exporter's constant 2 counts as a parameter.
    endless = {name for name, g in found.items() if not np.isfinite(g).all()}
    assert endless <= {node.input[1] for node in judged.model.graph.node if node.op_type == "Pow"}
    errors = relative(found, sample.gradients)
    assert {name: error for name, error in errors.items() if error > CLOSE} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_gradients_are_those_of_differences(path: Path) -> None:
    """What the exporter folded or added has no gradient in the framework, but here it has."""
    judged = _judged(path)
    sample = judged.sample
    found = _found(judged, sample.inputs, sample.seeds)
    errors = errors_of_differences(judged, sample.inputs, sample.seeds, found)
    assert {name: error for name, error in errors.items() if error > 1} == {}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_other_sizes_than_those_of_the_export(path: Path, batch: int) -> None:
    judged = _judged(path)
    data, seeds = resized(judged, batch, batch + 4)
    assert any(data[name].shape != x.shape for name, x in judged.sample.inputs.items())
    found = _found(judged, data, seeds)
    errors = errors_of_differences(judged, data, seeds, found)
    assert {name: error for name, error in errors.items() if error > 1} == {}
