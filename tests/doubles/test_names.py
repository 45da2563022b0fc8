"""Names and paths mean the same in double precision, also where operators are said in others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import portgrad
from portgrad.errors import InvalidRequest
from support.pipelines import FOLDER, Pipeline

RNG = np.random.default_rng(2)


def _fused() -> portgrad.Net:
    weights = {"w": (4, 3), "c": (3,)}
    held = [
        numpy_helper.from_array(RNG.standard_normal(shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    nodes = [
        helper.make_node("FusedGemm", ["x", "w", "c"], ["h"], "gemm", domain="com.microsoft",
                         activation="LeakyRelu", activation_alpha=0.1),
        helper.make_node("FastGelu", ["h"], ["y"], "gelu", domain="com.microsoft"),
    ]  # fmt: skip
    kind = onnx.TensorProto.FLOAT
    ports = [helper.make_tensor_value_info(n, kind, dims) for n, dims in (("x", ["N", 4]),)]
    outputs = [helper.make_tensor_value_info("y", kind, ["N", 3])]
    graph = helper.make_graph(nodes, "fused", ports, outputs, held)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return portgrad.load(model.SerializeToString(), threads=1)


def test_paths_inner_values_and_groups() -> None:
    net, x = _fused(), RNG.standard_normal((2, 4))
    for wrt in ("all", "parameters", ["h"], [["gemm", "B"]], [["gelu", "X"]]):
        single = net.gradient(x.astype(np.float32), wrt=wrt)
        double = net.gradient(x, wrt=wrt, precision="float64")
        assert list(single) == list(double)
        for name, want in single.items():
            np.testing.assert_allclose(double[name], want, rtol=1e-4, atol=1e-5)


def test_what_says_an_operator_has_no_name() -> None:
    net, x = _fused(), np.ones((1, 4))
    with pytest.raises(InvalidRequest) as caught:
        net.gradient(x, wrt=["gemm/body0/portgrad/1_constant"], precision="float64")
    assert caught.value.code == "unknown_name"


@pytest.mark.parametrize("name", ["svc_probable", "linear_pairs", "mlp"])
def test_pipelines_have_the_same_targets(name: str) -> None:
    assert (Path(FOLDER) / f"{name}.onnx").exists()
    pipeline = Pipeline.load(name)
    net, data = pipeline.net(), pipeline.sample.inputs
    found = [net.gradient(data, wrt="all", precision=p) for p in (None, "float64")]
    assert list(found[0]) == list(found[1])
