"""What is found in nets that exporters wrote; and what becomes of attention, which stays plain."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from portgrad.autodiff import compile as compiling
from portgrad.autodiff import gradient_graph
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.double import Arrays
from support.exporters.sample import FOLDER, read

_NORMS = {"RMSNormalization": 1, "Swish": 1}
_LLAMA = {"RMSNormalization": 5, "Swish": 2}
_GPT2 = {"Gelu": 2}
_KERAS = {"LayerNormalization": 1, "RMSNormalization": 1, "Gelu": 1}
# torch's other norms and activations are single operators already: its exporters write opset 20.
FOUND = {
    "torch_dynamo/norms": _NORMS,
    "torch_script/norms": _NORMS,
    "torch_script/norms_16": _NORMS | {"LayerNormalization": 1, "Gelu": 2},
    "torch_dynamo/llama": _LLAMA,
    "torch_script/llama": _LLAMA,
    "torch_dynamo/llama_eager": _LLAMA,
    "torch_dynamo/gpt2": _GPT2,
    "torch_script/gpt2": _GPT2,
    "torch_dynamo/bert": {},
    "torch_script/vit": {},
    "tf2onnx/transformer": _KERAS,
    "keras/transformer": _KERAS,
}


def _compiled(model: ir.Model, wrt: list[str], *, on: bool = True) -> tuple[ir.Model, Counter[str]]:
    original, found = compiling.recognise, []  # type: ignore[var-annotated]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            compiling, "recognise", lambda *a: found.extend(original(*a) if on else []) or found
        )
        of = [str(model.graph.outputs[0].name)]
        graph = gradient_graph(model, wrt=wrt, of=of, seeds=of, outputs=of)
    return graph.model, Counter(stand_in.node.op_type for stand_in in found)


def _run(model: ir.Model, feeds: Arrays) -> tuple[list[np.ndarray], onnx.GraphProto]:
    """Results, and the graph as the runtime runs it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder, "net.onnx"))
        session = ort.InferenceSession(
            ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        results = session.run(None, {port.name: feeds[port.name] for port in session.get_inputs()})
        return results, onnx.load(options.optimized_model_filepath).graph


def _weights(model: ir.Model) -> list[str]:
    return [
        str(name)
        for name, value in model.graph.initializers.items()
        if value.dtype is not None and value.dtype.is_floating_point() and value.shape != ()
    ]


@pytest.mark.parametrize("name", FOUND)
def test_exported_nets_keep_their_fusions(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    model, sample = load(NetFiles(path.read_bytes())), read(path.with_suffix(".npz"))
    feeds = {**sample.inputs, **{f"seed/{k}": seed for k, seed in sample.seeds.items()}}
    graph, found = _compiled(model, _weights(model))
    assert found == FOUND[name]
    plain, _ = _compiled(model, _weights(model), on=False)
    (ours, ran), (theirs, ran_plainly) = _run(graph, feeds), _run(plain, feeds)
    operators = Counter(node.op_type for node in ran.node)
    # Keras multiplies the weight first, which the runtime does not fuse.
    folded = name.endswith("transformer")
    assert operators["SimplifiedLayerNormalization"] == (0 if folded else found["RMSNormalization"])
    assert operators["LayerNormalization"] >= found["LayerNormalization"]
    assert operators["Gelu"] + operators["FastGelu"] >= found["Gelu"]
    assert len(ran.node) < len(ran_plainly.node) or not found
    largest = max(float(np.abs(g).max()) for g in theirs)
    for one, other in zip(ours, theirs, strict=True):
        # A few hundred roundings of 6e-8; what is 0 by cancellation is rounding of the largest.
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * largest)


ATTENTION = """(float[N, L, 32] x, float[N, 1, 1, L] mask) => (float[N, L, 32] y) {
    split = Constant<value_ints = [0, 0, 4, 8]>() whole = Constant<value_ints = [0, 0, 32]>()
    depth = Constant<value = float {2.828427}>()
    q0 = MatMul(x, wq) k0 = MatMul(x, wk) v0 = MatMul(x, wv)
    q1 = Reshape(q0, split) k1 = Reshape(k0, split) v1 = Reshape(v0, split)
    q = Transpose<perm = [0, 2, 1, 3]>(q1) k = Transpose<perm = [0, 2, 3, 1]>(k1)
    v = Transpose<perm = [0, 2, 1, 3]>(v1)
    qk = MatMul(q, k) scores = Div(qk, depth) MASK
    c0 = MatMul(p, v) c1 = Transpose<perm = [0, 2, 1, 3]>(c0) c = Reshape(c1, whole)
    y = MatMul(c, wo)
}"""
MASKS = {
    "none": "p = Softmax(scores)",
    "added": "masked = Add(scores, mask) p = Softmax(masked)",
    "guarded": "masked = Add(scores, mask) s = Softmax(masked) n = IsNaN(s) "
    "zero = Constant<value = float {0.0}>() p = Where(n, zero, s)",
    "chosen": "low = Constant<value = float {-1e9}>() zero = Constant<value = float {0.0}>() "
    "hidden = Less(mask, zero) masked = Where(hidden, low, scores) p = Softmax(masked)",
}


def _attention(mask: str) -> tuple[ir.Model, Counter[str], onnx.GraphProto]:
    text = ATTENTION.replace("MASK", MASKS[mask])
    net = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> net {text}')
    rng = np.random.default_rng(2)
    for name in ("wq", "wk", "wv", "wo"):
        weight = rng.standard_normal((32, 32)).astype(np.float32)
        net.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    model = load(NetFiles(net.SerializeToString()))
    feeds = {k: np.ones((2, 3, 32), np.float32) for k in ("x", "seed/y")}
    graph, _ = _compiled(model, ["x"])
    _, ran = _run(graph, {**feeds, "mask": np.zeros((2, 1, 1, 3), np.float32)})
    return model, Counter(node.op_type for node in ran.node), ran


@pytest.mark.parametrize("mask", MASKS)
def test_attention_costs_nothing_that_is_not_needed(mask: str) -> None:
    model, ran, graph = _attention(mask)
    held = sum(tensor.nbytes for tensor in _constants(model))
    assert sum(len(t.raw_data) for t in graph.initializer) < 1.1 * held  # no weight twice
    # Each transpose has its reverse, and Q, K and V are turned for the products of the other two.
    assert ran["Transpose"] == 4 + 4 + 3
    assert ran["MatMul"] + ran["FusedMatMul"] + ran["Gemm"] == 6 + 4 + 4
    assert ran["Softmax"] == 1
    # Adding a mask, and replacing NaN, costs nothing backwards, and choosing one node.
    assert ran["Where"] == {"none": 0, "added": 0, "guarded": 1, "chosen": 2}[mask]
    assert ran["IsNaN"] == (mask == "guarded")
    assert ran["Add"] == (mask in {"added", "guarded"}) + 2  # where the paths of q, k and v meet


def _constants(model: ir.Model) -> list[ir.TensorProtocol]:
    values = model.graph.initializers.values()
    return [value.const_value for value in values if value.const_value is not None]
