"""The harness itself, quickly: what it would run can run, and it tells right from wrong."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from torture.__main__ import main, rows_of
from torture.bombs import bodies, nets
from torture.bombs.table import BOMBS
from torture.crowd import crowd
from torture.nets import NETS, calls, right
from torture.parts import PARTS
from torture.plan import Plan
from torture.report import Row, missed, table, write
from torture.service import serving

BUILDERS = {
    "endless loop": nets.endless_loop,
    "product": nets.huge_product,
    "filled": nets.filled,
    "filled within": lambda: nets.filled_within(10),
    "stacking": nets.growing_loop,
    "sequence": nets.growing_sequence,
    "folded": lambda: nets.folded(10),
    "doubling": lambda: nets.doubling(3),
    "if": lambda: nets.deep_if(3),
    "nodes": lambda: nets.many_nodes(5),
    "recursive": nets.recursive_functions,
    "exponential": lambda: nets.exponential_functions(3),
    "resized": nets.resized,
    "expanded": nets.expanded,
    "range": nets.ranged,
    "tile": nets.tiled,
    "dividing": nets.dividing,
}


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_there(part: str) -> None:
    assert callable(importlib.import_module(f"torture.parts.{part}").run)


def test_every_bomb_says_what_is_right() -> None:
    assert len({bomb.name for bomb in BOMBS}) == len(BOMBS) > 30
    assert all(bomb.right for bomb in BOMBS)


@pytest.mark.parametrize("name", BUILDERS)
def test_bombs_are_nets_and_each_is_another(name: str) -> None:
    model = BUILDERS[name]()
    if name != "recursive":  # which the checker refuses, as it should be
        onnx.checker.check_model(onnx.load_from_string(model))
    other = nets.unlike(model, "x")
    assert onnx.load_from_string(other).graph == onnx.load_from_string(model).graph
    assert other != model


def test_bodies_unfold() -> None:
    assert len(bodies.npz_bomb(8)) < 100_000
    assert json.loads(bodies.deep_json(3)) == {"data": [[[1]]]}
    assert len(json.loads(bodies.many_keys(7))["data"]) == 7


def test_an_answer_is_right_to_the_last_bit() -> None:
    one = calls(np.random.default_rng(0))[0]
    assert right(one.expected, one.expected)
    off = {name: np.nextafter(array, np.float32(9)) for name, array in one.expected.items()}
    assert not right(off, one.expected)
    assert not right({}, one.expected)


def test_a_part_that_breaks_is_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torture.parts.matrix.run", lambda plan: [1 / 0])
    assert missed(rows_of("matrix", Plan(tmp_path)))
    assert missed([Row("broken", "", "", False)])
    assert not missed([Row("good", "", "", True), Row("not here", "", "", None)])


def test_what_is_found_is_written(tmp_path: Path) -> None:
    rows = [Row("a", "1", "2", False, 3.0)]
    write(rows, tmp_path / "rows.json")
    assert json.loads((tmp_path / "rows.json").read_text())["rows"][0]["verdict"] == "MISS"
    assert table(rows).row_count == 1


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])


def test_honest_clients_are_served(tmp_path: Path) -> None:
    with serving(tmp_path, threads=1) as service:
        with crowd(service.url, tmp_path / "seen", how="both", pause=0.02) as honest:
            window = honest.during(1)
        everything = honest.everything()
        usage = service.usage()
    assert len(window.calls) > len(NETS)
    assert {seen.client for seen in everything.calls} == {"raw", "sdk"}
    assert everything.failed == []
    assert usage.http > 2**24
    assert usage.http_files > 3
    assert not service.alive
