"""`portgrad gradcheck`: its table, its JSON, and the exit status by which a build can decide."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from portgrad.engine import Net, Report
from portgrad.engine.gradcheck import Disagreement
from portgrad.main import main
from portgrad.samples import ramp, samples
from support.engine import net_bytes


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    Path("ramp.onnx").write_bytes(ramp())
    Path("moons.onnx").write_bytes(samples()["moons"])
    Path("floor.onnx").write_bytes(net_bytes("(float[n] x) => (float[n] y) { y = Floor(x) }"))


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["portgrad", "gradcheck", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "shown", "status"),
    [
        (["ramp.onnx", "[1, -2]"], "ok", 0),
        (["ramp.onnx", "[0, 0]"], "kink", 0),
        (["floor.onnx", "[0, 0]"], "jump", 1),
        (["ramp.onnx", '["NaN", 1]'], "not finite", 1),
    ],
)
def test_a_verdict_and_the_exit_status(
    arguments: list[str],
    shown: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run(monkeypatch, *arguments) == status
    row = next(line for line in capsys.readouterr().out.splitlines() if "│" in line)
    assert row.split("│")[2].strip() == shown


def test_every_target_has_its_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["moons.onnx", "[[0.5, 0.25], [1, -0.5]]", "--directions", "1", "--wrt"]
    assert _run(monkeypatch, *arguments, "all") == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "│" in line]
    names = [row.split("│")[1].strip() for row in rows]
    assert names == ["point", "w1", "b1", "w2", "b2", "w3", "b3"]
    assert _run(monkeypatch, *arguments, "w1", "--wrt", "b3", "--json", "--random-seed", "4") == 0
    found = orjson.loads(capsys.readouterr().out)
    assert (list(found["targets"]), found["ok"], found["random_seed"]) == (["w1", "b3"], True, 4)


def test_a_gradient_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no net of the tests has: the report of a real check, with another verdict."""
    checked = Net.gradcheck

    def spoilt(net: Net, data: Any, **options: Any) -> Report:
        report = checked(net, data, **options)
        x = report.targets["Input"]
        line = replace(x.lines[0], verdict="disagrees", found=2.5, error=math.inf)
        wrong = Disagreement("Output", "relu", "ai.onnx.Relu", expected=1.0, found=2.5)
        targets = {"Input": replace(x, verdict="disagrees", error=math.inf, lines=(line,))}
        return replace(report, targets=targets, disagreement=wrong, warnings=("Mind.",))

    monkeypatch.setattr(Net, "gradcheck", spoilt)
    assert _run(monkeypatch, "ramp.onnx", "[1, -2]") == 1
    shown = capsys.readouterr().out
    assert "WRONG" in shown
    assert "wrong first at Output (Relu relu): the gradient says 2.5" in shown
    assert "differences 1" in shown
    assert "warning Mind." in shown
    assert _run(monkeypatch, "ramp.onnx", "[1, -2]", "--json") == 1
    assert orjson.loads(capsys.readouterr().out)["targets"]["Input"]["error"] == "Infinity"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--directions", "0"], "invalid_field"),
        (["--tolerance", "2"], "invalid_field"),
        (["--wrt", "Imput"], "unknown_name"),
    ],
)
def test_refusals(
    options: list[str],
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save("x.npy", np.ones(2, np.float32))
    assert _run(monkeypatch, "ramp.onnx", "x.npy", *options) == 1
    assert capsys.readouterr().err.startswith(code)
