"""Exported nets: which keep their examples apart, and gradients of their parameters for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from portgrad.graph.batching import apart
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.exporters.judge import Judged, resized
from support.exporters.sample import FOLDER
from support.per_example import EXAMPLES, assert_each_is_single

FILES = sorted(FOLDER.glob("*/*.onnx"))
# Each of these runs example by example.
MEETING = {
    "keras/gru": "a loop",
    "onnxscript/functions": "a sum over the examples",
    "tf2onnx/gru": "a loop",
    "torch_dynamo/choosing": "a sum over the examples",
    "torch_dynamo/loss": "a mean over the examples",
    "torch_script/bert": "a mask that is picked by its place among those of all examples",
    "torch_script/bert_eager": "the same",
    "torch_script/gpt2": "the same",
    "torch_script/growing": "sequences",
    "torch_script/llama": "the same as bert",
    "torch_script/loss": "a mean over the examples",
    "torch_script/scripted": "a loop",
}
# float32; the gradient of a constant that touches everything is one sum of what cancels.
CLOSE = 3e-4
EACH = [
    "keras/cnn",
    "keras/transformer",
    "torch_dynamo/attention",
    "torch_dynamo/cnn",
    "torch_dynamo/encoder",
    "torch_dynamo/gpt2",
    "torch_dynamo/norms",
    "torch_dynamo/vit",
    "torch_script/lstm",
    "torch_script/mlp",
]


def of_batch(model: ir.Model) -> list[str]:
    return [
        str(v.name)
        for v in model.graph.inputs
        if v.shape and isinstance(v.shape[0], ir.SymbolicDim)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_which_nets_keep_their_examples_apart(path: Path) -> None:
    model = load(NetFiles(path.read_bytes()))
    meets = f"{path.parent.name}/{path.stem}" in MEETING
    assert (apart(model, of_batch(model)) is None) == meets


@pytest.mark.parametrize("name", EACH)
def test_gradients_for_each_example_are_those_of_single_runs(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    judged = Judged.load(path)
    data, _ = resized(judged, EXAMPLES, 5)
    rng = np.random.default_rng(0)
    for port, array in data.items():
        if array.dtype.kind == "f":
            data[port] = (array + 0.3 * rng.standard_normal(array.shape)).astype(array.dtype)
    names = judged.net.names
    wrt = [n for n, value in names.parameters.items() if names.none_reason(value) is None]
    model = load(NetFiles(path.read_bytes()))
    assert_each_is_single(model, wrt, data, ports=of_batch(model), close=CLOSE, total=False)
