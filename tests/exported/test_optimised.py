"""Exported nets after onnxruntime's own optimizers: the gradients stay what they were.

Both optimizers write operators of com.microsoft: that of a session, and that of transformers.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import portgrad
from support.exporters.sample import FOLDER, read

NETS = ["bert", "bert_eager", "cnn", "gpt2", "llama", "mlp", "norms", "vit", "whisper"]
FILES = [FOLDER / exporter / f"{name}.onnx" for exporter in ("torch_dynamo", "torch_script")
         for name in NETS]  # fmt: skip
# What transformers' optimizer calls the nets that it knows, and what it makes of them.
KINDS = {"bert": "bert", "bert_eager": "bert", "gpt2": "gpt2", "llama": "gpt_neox", "vit": "vit"}
MADE = {
    "torch_dynamo/gpt2": {"SkipLayerNormalization", "FastGelu"},
    "torch_dynamo/llama": {"SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"},
    "torch_script/bert_eager": {"EmbedLayerNormalization", "Attention", "BiasGelu"},
}
# Sums of a few dozen products in another order; a product with a bias is folded into one tensor.
CLOSE = 2e-6


def _called(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def _by_session(path: Path, folder: Path) -> Path:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "net.onnx")
    options.log_severity_level = 4  # it warns that the file is for this machine
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return folder / "net.onnx"


def _by_transformers(path: Path, folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of options that it does not know itself
        optimizer = pytest.importorskip("onnxruntime.transformers.optimizer")
        model = optimizer.optimize_model(
            str(path), KINDS[path.stem], num_heads=2, hidden_size=16, opt_level=0
        )
        model.save_model_to_file(str(folder / "net.onnx"))
    return folder / "net.onnx"


def _operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def _check(path: Path, saved: Path) -> None:
    """The gradients by inputs and by the parameters that are left agree."""
    sample = read(path.with_suffix(".npz"))
    plain, optimised = portgrad.load(path), portgrad.load(saved)
    left = optimised.names.parameters.keys() & sample.gradients.keys()
    names = [*(plain.names.inputs.keys() & sample.gradients.keys()), *sorted(left)]
    assert names
    found = (
        net.gradient(sample.inputs, wrt=names, output_gradients=sample.seeds)
        for net in (plain, optimised)
    )
    want, got = found
    for name in names:
        close = CLOSE * (1.0 + float(np.max(np.abs(want[name]), initial=0.0)))
        np.testing.assert_allclose(got[name], want[name], rtol=0, atol=close, err_msg=name)


@pytest.mark.parametrize("path", FILES, ids=_called)
def test_by_a_session(path: Path, tmp_path: Path) -> None:
    saved = _by_session(path, tmp_path)
    assert _operators(saved) - _operators(path)
    _check(path, saved)


@pytest.mark.parametrize("path", [p for p in FILES if p.stem in KINDS], ids=_called)
def test_by_the_optimizer_of_transformers(path: Path, tmp_path: Path) -> None:
    saved = _by_transformers(path, tmp_path)
    assert MADE.get(_called(path), set()) <= _operators(saved)
    assert _operators(saved) - _operators(path)
    _check(path, saved)
