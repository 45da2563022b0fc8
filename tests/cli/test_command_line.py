"""The command line on files of this machine: what it prints, what it writes, how it fails."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
import pytest

from portgrad.main import main
from portgrad.samples import chain, cross_entropy, ramp
from support.engine import net_bytes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("chain.onnx").write_bytes(chain())
    Path("ramp.onnx").write_bytes(ramp())
    np.save("x.npy", np.array([1.0, -2.0], np.float32))
    np.savez("x.npz", Input=np.array([1.0, -2.0], np.float32))
    Path("x.json").write_text('{"Input": [1, -2]}')
    Path("broken.npz").write_bytes(b"PK")
    return tmp_path


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["portgrad", *arguments])
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("data", ["[1, -2]", "x.npy", "x.npz", "x.json", '{"Input": [1, -2]}'])
def test_gradient_of_a_file_takes_data_in_any_form(
    data: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "gradient", "ramp.onnx", data, "-o", "out.npz") == 0
    assert "written to out.npz" in capsys.readouterr().out
    with np.load("out.npz") as written:
        np.testing.assert_array_equal(written["Input"], np.array([1.0, 0.0], np.float32))


def test_it_says_which_release_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"portgrad {version('portgrad')}\n"


def test_targets_by_name_and_path_and_an_imposed_gradient(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrt = ["--wrt", "layer3.bias", "--wrt", '["layer1", "weight"]']
    imposed = ["--output-gradients", '{"Output": [2, -1]}']
    arguments = ["gradient", "chain.onnx", "[1, 2, 3, 4, 5]", *wrt, *imposed, "-o", "out.npz"]
    assert _run(monkeypatch, *arguments) == 0
    with np.load("out.npz") as written:
        assert sorted(written) == ["layer1.weight", "layer3.bias"]
        np.testing.assert_array_equal(written["layer3.bias"], np.array([2.0, -1.0], np.float32))


@pytest.mark.parametrize("word", ["straight-through", "straight_through"])
def test_the_estimate_of_a_quantised_net(
    word: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = net_bytes("""(float[2] x) => (float[2] y) <float s = {0.5}, int8 z = {0}> {
      q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }""")
    Path("pair.onnx").write_bytes(pair)
    arguments = ["gradient", "pair.onnx", "[1, 100]", "-o", "out.npz"]
    assert _run(monkeypatch, *arguments, "--quantized", word) == 0
    with np.load("out.npz") as written:
        np.testing.assert_array_equal(written["x"], np.array([1.0, 0.0], np.float32))
    assert _run(monkeypatch, *arguments, "--quantized", "never") == 1
    assert "'exact' or 'straight_through'" in capsys.readouterr().err


CHAIN = ("gradient", "chain.onnx", "[[1, 2, 3, 4, 5], [0, 0, 0, 0, 0]]", "-o", "out.npz")


@pytest.mark.parametrize(
    ("options", "bias"),
    [
        ([], [2.0, 2.0]),
        (["--reduction", "mean"], [1.0, 1.0]),
        (["--reduction", "per-example"], [[1.0, 1.0], [1.0, 1.0]]),
        (["--output-gradients", '{"Output": {"index": 1}}'], [0.0, 2.0]),
    ],
)
def test_what_becomes_of_the_examples(
    options: list[str], bias: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(monkeypatch, *CHAIN, "--wrt", "layer3.bias", *options) == 0
    with np.load("out.npz") as written:
        np.testing.assert_array_equal(written["layer3.bias"], bias)


@pytest.mark.parametrize("given", ['{"layer3.weight": [[0, 0, 0], [0, 0, 0]]}', "zeros.npz"])
def test_parameters_of_one_call(given: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("zeros.npz", **{"layer3.weight": np.zeros((2, 3), np.float32)})
    assert _run(monkeypatch, *CHAIN, "--parameters", given) == 0
    with np.load("out.npz") as written:
        assert not written["Input"].any()


def test_a_net_in_double(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(monkeypatch, *CHAIN, "--precision", "float64") == 0
    with np.load("out.npz") as written:
        assert written["Input"].dtype == np.float64


def test_a_net_in_training_mode(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dropout = net_bytes("(float[N] x) => (float[N] y) { y = Dropout(x) }")
    Path("dropout.onnx").write_bytes(dropout)
    np.save("ones.npy", np.ones(64, np.float32))
    arguments = ["gradient", "dropout.onnx", "ones.npy", "-o", "out.npz", "--mode", "train"]
    found = []
    for _ in range(2):
        assert _run(monkeypatch, *arguments, "--random-seed", "7") == 0
        with np.load("out.npz") as written:
            found.append(written["x"])
    assert set(found[0]) == {0.0, 2.0}
    np.testing.assert_array_equal(*found)
    assert _run(monkeypatch, *arguments) == 0
    seeds = re.findall(r"^random seed (\d+)$", capsys.readouterr().out, re.MULTILINE)
    assert seeds[:2] == ["7", "7"]
    assert len(set(seeds)) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["entropy.onnx", '{"Input": [0.5, 0], "Target": [1, 1]}'],
            [
                "Input: infinite",
                "first value that is infinite: log_p (Log)",
                "first cotangent that is infinite: Input (Log log_p)",
            ],
        ),
        (
            ["ramp.onnx", "[-1, -2]"],
            ["Input: all zero in examples 0, 1, vanished at Input (Relu Output)"],
        ),
        (["ramp.onnx", "[-1, 2]"], ["Input: all zero in examples 0"]),
        (["ramp.onnx", "[1, 2]"], ["every gradient is finite, and none is all zero"]),
    ],
)
def test_what_is_the_matter(
    arguments: list[str],
    told: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("entropy.onnx").write_bytes(cross_entropy())
    assert _run(monkeypatch, "gradient", *arguments, "--wrt", "Input", "--diagnostics") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index(next(line for line in lines if line.startswith("└"))) + 1 :] == told


def test_check_of_an_estimate(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = """(float[2] x) => (float[2] y) <float s = {0.5}, int8 z = {0}> {
      q = QuantizeLinear(x, s, z) i = Cast<to = 6>(q) [square] j = Mul(i, i)
      y = Cast<to = 1>(j) }"""
    Path("square.onnx").write_bytes(net_bytes(body))
    assert _run(monkeypatch, "check", "square.onnx", "--json") == 0
    assert "straight_through" in orjson.loads(capsys.readouterr().out)["warnings"][0]
    arguments = ["check", "square.onnx", "--json", "--quantized", "straight-through"]
    assert _run(monkeypatch, *arguments) == 1
    assert orjson.loads(capsys.readouterr().out)["obstacles"][0]["node"] == "square"


def test_describe_shows_names_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "describe", "chain.onnx") == 0
    shown = capsys.readouterr().out
    for part in ("chain.onnx", "(batch, 5)", "layer1.weight", "float32", "opset 21"):
        assert part in shown


STOPPED = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
net (float[N, 1, 4] x, float[N, 1, 4] z) => (float[N, 1, 4] y, float[N, 1, 4] far) {
    r = Round(x)
    y = Add(x, r)
    [cells] far = com.microsoft.DecoderMaskedMultiHeadAttention <num_heads = 2> (z)
}"""


def test_check_of_a_net_without_obstacles(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "check", "chain.onnx") == 0
    shown = capsys.readouterr().out
    assert "Nothing stands in the way of the gradient." in shown
    assert "Gemm" in shown


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("(float[2] x) => (int64[1] y) { y = ArgMax(x) }", "No output port is floating"),
        ("(int64[2] x) => (float[2] y) { y = Cast<to = 1>(x) }", "No input port or parameter can"),
    ],
)
def test_check_of_a_net_without_floating_ports(
    body: str,
    reason: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("whole.onnx").write_bytes(net_bytes(body))
    assert _run(monkeypatch, "check", "whole.onnx") == 1
    assert reason in capsys.readouterr().out


def test_check_calls_operators_by_their_domain_unless_it_is_the_standard_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 1]>
        net (float[N, 2] x) => (float[N, 2] y) {
            z = Relu(x)
            y = ai.onnx.ml.Binarizer(z)
        }""")
    Path("flat.onnx").write_bytes(model.SerializeToString())
    assert _run(monkeypatch, "check", "flat.onnx") == 0
    shown = capsys.readouterr().out
    assert "ai.onnx.Relu" not in shown
    assert shown.count("ai.onnx.ml.Binarizer") == 2  # in the table and in the warning
    assert "it is piecewise constant, so its gradient is zero" in shown
    assert "the warnings say where it is zero" in shown


def test_check_names_what_stands_in_the_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("stopped.onnx").write_bytes(onnx.parser.parse_model(STOPPED).SerializeToString())
    assert _run(monkeypatch, "check", "stopped.onnx", "--json") == 1
    found = orjson.loads(capsys.readouterr().out)
    [obstacle] = found["obstacles"]
    assert obstacle["node"] == "cells"
    assert obstacle["operator"] == "com.microsoft.DecoderMaskedMultiHeadAttention"
    assert obstacle["blocks"] == ["z"]
    assert any("Round" in warning for warning in found["warnings"])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["gradient", "ramp.onnx", "[1, "], "unreadable_data"),
        (["gradient", "ramp.onnx", "missing.npy"], "unreadable_data"),
        (["gradient", "ramp.onnx", "broken.npz"], "unreadable_data"),
        (["gradient", "ramp.onnx", "[1]", "--wrt", "Imput"], "unknown_name"),
        (["gradient", "ramp.onnx", "[1]", "--wrt", "[1]"], "invalid_field"),
        (["gradient", "ramp.onnx", "[1]", "--mode", "Train"], "invalid_field"),
        (["gradient", "ramp.onnx", "[1]", "--random-seed", "-1"], "invalid_field"),
        (["gradient", "chain.onnx", "[]", "--parameters", '{"w": 1}'], "unknown_parameter"),
        (["describe", "x.json"], "not_onnx"),
        (["describe", "nothing", "--url", "http://127.0.0.1:1"], "connection_failed"),
    ],
)
def test_errors_are_sentences_on_stderr(
    arguments: list[str],
    code: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run(monkeypatch, *arguments) == 1
    shown = capsys.readouterr().err
    assert shown.startswith(code)
    assert "Traceback" not in shown
