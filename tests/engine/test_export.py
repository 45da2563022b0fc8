"""A gradient as a file: its ports, what it says of itself, where it is written, what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

import portgrad
from portgrad.engine import written
from portgrad.errors import PortgradError
from portgrad.samples import chain
from support.engine import engine_net, net_bytes, random

Array = np.ndarray[Any, Any]
CODED = """(float[batch, 2] x, int64[K] codes, float[3] spare) => (float[batch, 2] y, float[K] z) {
  y = Mul(x, w) f = Cast <to = 1> (codes) s = ReduceSum <keepdims = 0> (spare) z = Mul(f, s) }"""
WEIGHTS = {"w": np.array([2.0, -3.0], np.float32)}
LARGE = "(float[N, 40] x) => (float[N, 40] y) { p = MatMul(x, w) y = Add(p, b) }"


def _run(source: bytes | Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
    session = ort.InferenceSession(source, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def _ports(values: Any) -> dict[str, tuple[int, list[int | str]]]:
    return {
        value.name: (
            value.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in values
    }


def test_inputs_are_the_nets_and_outputs_are_named_after_targets() -> None:
    net = engine_net(CODED, WEIGHTS)
    file = net.export_gradient(wrt=["x", "w", "x"], of="y", outputs=["z"])
    model = onnx.load_from_string(file.to_bytes())
    assert _ports(model.graph.input) == {
        "x": (1, ["batch", 2]),
        "codes": (7, ["K"]),
        "spare": (1, [3]),
    }
    assert _ports(model.graph.output) == {
        "z": (1, ["K"]),
        "grad/x": (1, ["batch", 2]),
        "grad/w": (1, [2]),
    }
    assert file.targets == ("x", "w", "x")
    assert [port.name for port in file.inputs] == ["x", "codes", "spare"]
    assert [(port.name, port.dtype, port.shape) for port in file.outputs][1:] == [
        ("grad/x", "float32", ("batch", 2)),
        ("grad/w", "float32", (2,)),
    ]


def test_seeds_are_inputs_of_the_shapes_of_the_outputs() -> None:
    net = engine_net(CODED, WEIGHTS)
    file = net.export_gradient(seeds=True)
    model = onnx.load_from_string(file.to_bytes())
    seeds = {"seed/y": (1, ["batch", 2]), "seed/z": (1, ["K"])}
    assert dict(list(_ports(model.graph.input).items())[3:]) == seeds
    feeds = {"x": random(3, 2), "codes": np.arange(4), "spare": random(3)}
    right = {**feeds, "seed/y": random(3, 2, seed=1), "seed/z": random(4, seed=2)}
    np.testing.assert_array_equal(
        _run(file.to_bytes(), right)["grad/x"], right["seed/y"] * WEIGHTS["w"]
    )
    for wrong in (random(1, 2), random(6, 2)):  # nothing is broadcast
        with pytest.raises(Exception, match=r"Expand|Reshape"):
            _run(file.to_bytes(), {**right, "seed/y": wrong})


def test_a_file_says_where_it_comes_from() -> None:
    model = onnx.load_from_string(chain())
    model.metadata_props.add(key="classes", value="ham, spam")
    model.graph.node[0].metadata_props.add(key="trace", value="somebody's machine")
    model.graph.node[0].doc_string = "line 3"
    net = portgrad.load(model.SerializeToString())
    file = net.export_gradient(wrt="all", quantized="straight_through")
    made = onnx.load_from_string(file.to_bytes())
    told = {entry.key: entry.value for entry in made.metadata_props}
    assert told["classes"] == "ham, spam"
    assert told["portgrad.net"] == net.id
    assert told["portgrad.of"] == '["Output"]'
    assert told["portgrad.wrt"].startswith('["Input", "layer1.weight", ')
    assert (told["portgrad.quantized"], told["portgrad.seeds"]) == ("straight_through", "false")
    assert (made.producer_name, made.producer_version) == ("portgrad", told["portgrad.version"])
    assert made.ir_version == helper.find_min_ir_version_for(made.opset_import)
    assert [entry.domain for entry in made.opset_import] == [""]
    assert not any(node.metadata_props or node.doc_string for node in made.graph.node)


def test_a_warning_is_in_the_file() -> None:
    net = engine_net("(float[N] x) => (float[N] y) { r = Round(x) y = Mul(r, x) }")
    file = net.export_gradient()
    told = {e.key: e.value for e in onnx.load_from_string(file.to_bytes()).metadata_props}
    assert len(file.warnings) == 1
    assert file.warnings[0] in told["portgrad.warnings"]


def test_nodes_of_one_name_are_told_apart() -> None:
    net = engine_net("(float[N] x) => (float[N] y) { [same] a = Exp(x) [same] y = Sin(a) }")
    assert _run(net.export_gradient().to_bytes(), {"x": random(3)})["grad/x"].shape == (3,)


# -- what is no operator of the standard's ---------------------------------------------------------

SIMPLIFIED = """(float[N, 4] x) => (float[N, 4] y) {
  n = SimplifiedLayerNormalization <axis = -1, epsilon = 1e-5> (x, w) y = Mul(n, x) }"""
SIXTEEN = """(float[N, 4] x) => (float[N, 4] y) <float s = {0.125}, int16 z = {3}> {
  q = com.microsoft.QuantizeLinear(x, s, z) d = com.microsoft.DequantizeLinear(q, s, z)
  y = Mul(d, x) }"""
BESIDE = """(float[N, 4] x, float[N, 4] z) => (float[N, 4] y, float[N, 4] a) {
  y = Mul(x, x) t = com.microsoft.BiasGelu(z, w) c = Floor(t) a = Add(t, c) }"""


INSIDE = """(float[N, 4] x, float[N, 4] z) => (float[N, 4] y, float[N, 4] a) {
  y = Mul(x, x) no = Constant <value_int = 0> () maybe = Cast <to = 9> (no)
  a = If(maybe) <then_branch = one () => (float[N, 4] p) { p = Neg(z) },
    else_branch = two () => (float[N, 4] q) { q = com.microsoft.BiasGelu(z, w) }> }"""


@pytest.mark.parametrize("body", [SIMPLIFIED, SIXTEEN, BESIDE, INSIDE])
def test_operators_of_the_runtime_are_said_in_those_of_the_standard(body: str) -> None:
    """Also where no gradient goes through them, or a rule keeps their kernel."""
    model = onnx.load_from_string(net_bytes(body, {"w": random(4)} if " w)" in body else None))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    net = portgrad.load(model.SerializeToString())
    data = {name: random(3, 4, seed=4) for name in net.names.inputs}
    made = onnx.load_from_string(net.export_gradient(wrt=["x"], outputs=True).to_bytes())
    assert {entry.domain for entry in made.opset_import} == {""}
    assert "SimplifiedLayerNormalization" not in {node.op_type for node in made.graph.node}
    found = _run(made.SerializeToString(), data)
    want = net.gradient(data, wrt=["x"], outputs=True)
    for key, array in {**want.outputs, "grad/x": want["x"]}.items():
        # A few roundings of numbers of order one.
        np.testing.assert_allclose(found[key], array, rtol=0, atol=2e-6, err_msg=key)


def test_an_operator_that_cannot_be_said_is_named() -> None:
    model = onnx.load_from_string(
        net_bytes("(float[2, 2] x) => (float[2, 2] y) { [turned] y = com.microsoft.Inverse(x) }")
    )
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(PortgradError) as raised:
        portgrad.load(model.SerializeToString()).export_gradient()
    assert (raised.value.code, raised.value.where) == ("not_standard", "turned")
    assert raised.value.found == "com.microsoft.Inverse"


# -- files -----------------------------------------------------------------------------------------


@pytest.fixture
def large() -> portgrad.Net:
    return engine_net(LARGE, {"w": random(40, 40), "b": random(40)})


def test_weights_inline_or_beside(large: portgrad.Net, tmp_path: Path) -> None:
    x = {"x": random(2, 40)}
    want = large.gradient(x["x"], wrt="all")
    whole = large.export_gradient(tmp_path / "whole.onnx", wrt="all")
    assert whole.files == (tmp_path / "whole.onnx",)
    halves = large.export_gradient(str(tmp_path / "halves.onnx"), wrt="all", external=True)
    assert halves.files == (tmp_path / "halves.onnx", tmp_path / "halves.onnx.data")
    assert halves.files[1].stat().st_size == 40 * 40 * 4  # what is small stays in the graph
    for file in (whole, halves):
        onnx.checker.check_model(file.files[0], full_check=True)
        found = _run(file.files[0], x)
        for name, array in want.items():
            np.testing.assert_array_equal(found[f"grad/{name}"], array)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "halves.onnx", "halves.onnx.data", "whole.onnx",
    ]  # fmt: skip


def test_weights_beside_lie_where_they_can_be_mapped(tmp_path: Path) -> None:
    """Each begins at a multiple of 64 bytes, whatever the one before it takes."""
    weights = {"w": random(40, 41), "b": random(401), "v": random(41, 401)}
    text = "(float[N,40] x) => (float[N,401] y) { p = MatMul(x, w) q = MatMul(p, v) y = Add(q, b) }"
    path = tmp_path / "grad.onnx"
    engine_net(text, weights).export_gradient(path, external=True)
    kept = onnx.load(path, load_external_data=False).graph.initializer
    entries = [{one.key: one.value for one in tensor.external_data} for tensor in kept]
    offsets = [int(entry["offset"]) for entry in entries if entry]
    assert len(offsets) == 3
    assert [offset % 64 for offset in offsets] == [0, 0, 0]


def test_what_one_file_cannot_hold_goes_into_two(
    large: portgrad.Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written, "MOST_INLINE", 2000)
    assert len(large.export_gradient(tmp_path / "a.onnx").files) == 2
    for call in (
        lambda: large.export_gradient().to_bytes(),
        lambda: large.export_gradient(tmp_path / "b.onnx", external=False),
    ):
        with pytest.raises(PortgradError, match="second file") as raised:
            call()
        assert raised.value.code == "file_too_large"


def test_a_file_may_take_the_place_of_its_own_source(large: portgrad.Net, tmp_path: Path) -> None:
    """Its weights are read from what they replace."""
    path = tmp_path / "net.onnx"
    model = onnx.load_from_string(net_bytes(LARGE, {"w": random(40, 40), "b": random(40)}))
    onnx.save(model, path, save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    files = portgrad.graph.files.NetFiles(path, {"net.onnx.data": tmp_path / "net.onnx.data"})
    portgrad.load(files, threads=1).export_gradient(path, wrt="all", external=True)
    x = random(2, 40)
    np.testing.assert_array_equal(_run(path, {"x": x})["grad/x"], large.gradient(x)["x"])


@pytest.mark.parametrize("path", ["missing/grad.onnx", "folder", "net.onnx/grad.onnx"])
def test_a_path_that_cannot_be_written(large: portgrad.Net, path: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "net.onnx").touch()
    with pytest.raises(PortgradError) as raised:
        large.export_gradient(tmp_path / path)
    assert raised.value.code == "unwritable_file"
    assert raised.value.where == str(tmp_path / path)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["folder", "net.onnx"]


def test_equal_requests_give_equal_files(tmp_path: Path) -> None:
    """The graph and its weights may be fetched by two calls, of two replicas."""
    (tmp_path / "net.onnx").write_bytes(net_bytes(LARGE, {"w": random(40, 40), "b": random(40)}))
    options = {"wrt": "all", "outputs": True, "seeds": True, "external": True}
    code = f"import portgrad; portgrad.load('net.onnx').export_gradient('a.onnx', **{options})"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    there = [(tmp_path / name).read_bytes() for name in ("a.onnx", "a.onnx.data")]
    here = portgrad.load(tmp_path / "net.onnx").export_gradient(tmp_path / "a.onnx", **options)
    assert [path.read_bytes() for path in here.files] == there


# -- refusals --------------------------------------------------------------------------------------

SHADOWED = "(float[N] x) => (float[N] y) { [n] h = Exp(x) y = Identity(h) }"


@pytest.mark.parametrize(
    ("options", "code", "where"),
    [
        ({"wrt": ["never"]}, "unknown_name", "wrt[0]"),
        ({"wrt": []}, "empty_targets", "wrt"),
        ({"wrt": ["codes"]}, "no_gradient", "wrt[0]"),
        ({"of": "x"}, "not_an_output", "of"),
        ({"of": []}, "empty_of", "of"),
        ({"outputs": ["never"]}, "unknown_name", "outputs[0]"),
        ({"quantized": "never"}, "invalid_field", "quantized"),
    ],
)
def test_requests_that_do_not_fit(options: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(PortgradError) as raised:
        engine_net(CODED, WEIGHTS).export_gradient(**options)
    assert (raised.value.code, raised.value.where) == (code, where)


@pytest.mark.parametrize(("name", "seeds"), [("grad/x", False), ("seed/y", True)])
def test_a_net_that_has_the_name_of_a_result(name: str, seeds: bool) -> None:
    model = onnx.load_from_string(net_bytes(SHADOWED))
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = name
    net = portgrad.load(model.SerializeToString())
    with pytest.raises(PortgradError) as raised:
        net.export_gradient(seeds=seeds)
    assert (raised.value.code, raised.value.where) == ("ambiguous_name", name)


def test_a_file_of_a_gradient_is_a_net_whose_gradient_is_the_next_derivative() -> None:
    """d³/dx³ of sum(x⁴) is 24 x."""
    net = engine_net("(float[3] x) => (float[3] y) { s = Mul(x, x) y = Mul(s, s) }")
    x = random(3)
    second = portgrad.load(net.export_gradient().to_bytes(), threads=1)
    np.testing.assert_allclose(second.gradient(x)["x"], 12 * x**2, rtol=1e-5)
    third = second.hvp(x, tangents={"x": np.ones(3, np.float32)})["x"]
    np.testing.assert_allclose(third, 24 * x, rtol=1e-5)
    assert second.gradient(x, outputs=True).outputs.keys() == {"grad/x"}
