"""`portgrad differentiate`: what it writes, what it prints, how it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import onnxruntime as ort
import pytest

from portgrad.main import main
from portgrad.samples import chain
from support.engine import net_bytes, random


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("chain.onnx").write_bytes(chain())
    body = "(float[N, 32] x) => (float[N, 32] y) { p = MatMul(x, w) y = Round(p) }"
    Path("steps.onnx").write_bytes(net_bytes(body, {"w": random(32, 32)}))
    return tmp_path


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["portgrad", "differentiate", *arguments])
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def _names(path: str) -> tuple[list[str], list[str]]:
    model = onnx.load(path)
    onnx.checker.check_model(path, full_check=True)
    return [p.name for p in model.graph.input], [p.name for p in model.graph.output]


def test_what_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "chain.onnx", "-o", "grad.onnx") == 0
    assert _names("grad.onnx") == (["Input"], ["grad/Input"])
    shown = capsys.readouterr().out
    for part in ("Input", "grad/Input", "float32", "(batch, 5)", "written to grad.onnx"):
        assert part in shown


def test_targets_outputs_and_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    wrt = ["--wrt", "Input", "--wrt", '["layer1", "weight"]']
    more = ["--of", "Output", "--outputs", "all", "--seeds"]
    assert _run(monkeypatch, "chain.onnx", "-o", "grad.onnx", *wrt, *more) == 0
    inputs, outputs = _names("grad.onnx")
    assert inputs == ["Input", "seed/Output"]
    assert outputs == ["Output", "grad/Input", "grad/layer1.weight"]
    assert _run(monkeypatch, "chain.onnx", "-o", "grad.onnx", "--outputs", "Output") == 0
    assert _names("grad.onnx")[1] == ["Output", "grad/Input"]


def test_weights_in_a_second_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["steps.onnx", "-o", "grad.onnx", "--external-data", "--outputs", "p"]
    assert _run(monkeypatch, *arguments) == 0
    shown = capsys.readouterr().out
    assert "written to grad.onnx.data, 4096 bytes" in shown
    assert "Round" in shown  # whose gradient is zero
    found = ort.InferenceSession("grad.onnx").run(["p"], {"x": random(2, 32)})
    assert found[0].shape == (2, 32)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chain.onnx", "-o", "missing/grad.onnx"], "unwritable_file"),
        (["chain.onnx", "-o", "grad.onnx", "--wrt", "never"], "unknown_name"),
        (["chain.onnx", "-o", "grad.onnx", "--quantized", "never"], "invalid_field"),
        (["chain.onnx", "-o", "grad.onnx", "--wrt", "[1"], "unreadable_data"),
    ],
)
def test_refusals(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    assert _run(monkeypatch, *arguments) == 1
    assert told in capsys.readouterr().err
    assert not Path("grad.onnx").exists()
