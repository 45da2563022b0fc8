"""Nets as exporters write them: Portgrad's gradients against the framework's own.

The files lie in `tests/data/exported`; `PYTHONPATH=tests python -m support.exporters` makes them.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from support.exporters.judge import CLOSE, Judged, errors_of_differences, relative, resized
from support.exporters.sample import FOLDER

FILES = sorted(FOLDER.glob("*/*.onnx"))
EXPORTERS = {"keras", "onnxscript", "skl2onnx", "tf2onnx", "torch_dynamo", "torch_script"}


@functools.cache
def _judged(path: Path) -> Judged:
    return Judged.load(path)


def _asked(judged: Judged, group: str) -> set[str]:
    """What a group of targets means, if it means any: it says what it leaves out."""
    names = judged.net.names
    values = {"inputs": names.inputs, "parameters": names.parameters}[group].values()
    if all(names.none_reason(value) for value in values):
        return set()
    sample = judged.sample
    found = judged.net.gradient(sample.inputs, wrt=group, output_gradients=sample.seeds)
    assert found.none.keys().isdisjoint(sample.gradients)
    return set(found)


def test_each_exporter_is_there() -> None:
    assert {path.parent.name for path in FILES} == EXPORTERS


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_gradients_are_the_frameworks_own(path: Path) -> None:
    """By inputs, parameters and embedded tokens; every other floating target gets one too."""
    judged = _judged(path)
    sample = judged.sample
    outputs = judged.net.evaluate(sample.inputs)
    assert {n: e for n, e in relative(outputs.outputs, sample.outputs).items() if e > CLOSE} == {}
    found = judged.all_gradients()
    for group in ("inputs", "parameters"):
        assert _asked(judged, group) <= found.keys()
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
    found = judged.all_gradients()
    errors = errors_of_differences(judged, sample.inputs, sample.seeds, found)
    assert {name: error for name, error in errors.items() if error > 1} == {}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_other_sizes_than_those_of_the_export(path: Path, batch: int) -> None:
    judged = _judged(path)
    data, seeds = resized(judged, batch, batch + 4)
    assert any(data[name].shape != x.shape for name, x in judged.sample.inputs.items())
    found = judged.gradients(data, seeds)
    errors = errors_of_differences(judged, data, seeds, found)
    assert {name: error for name, error in errors.items() if error > 1} == {}
