"""The frame of the benchmarks, without what they measure: rows, turns, tables, the page."""

from __future__ import annotations

import ast
import importlib
import os
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.apart import apart
from benchmarks.given import ROOT, Given
from benchmarks.machine import about
from benchmarks.parts import GROUPS, PARTS, says
from benchmarks.rows import MEDIAN, Row, merged, read, rows_of, write
from benchmarks.tables import figure, goal, in_short, markdown
from benchmarks.turns import by_turns, ratio, spread

ABOUT = about(Given())
VERDICTS = [
    (Row("t", "w", 2.0, 2.0), "ok"),
    (Row("t", "w", 2.1, 2.0), "MISS"),
    (Row("t", "w", 2.1, 2.0, at_least=True), "ok"),
    (Row("t", "w", 1.9, 2.0, at_least=True), "MISS"),
    (Row("t", "w", 1.9), "—"),
    (Row("t", "w", None, 2.0, note="no compiler"), "skipped"),
]


@pytest.mark.parametrize(("row", "verdict"), VERDICTS)
def test_a_row_says_what_became_of_its_goal(row: Row, verdict: str) -> None:
    assert row.verdict == verdict


def test_a_part_that_is_run_again_takes_the_places_of_its_rows() -> None:
    first = [Row("t", "a", 1.0, column="x"), Row("t", "b", 2.0, spread=(1.0, 3.0), raw=(1.0, 3.0))]
    document = merged({}, first, ABOUT, "one")
    document = merged(document, [Row("u", "c", 4.0)], ABOUT, "two")
    document = merged(document, [Row("t", "a", 5.0, column="x")], ABOUT, "one")
    assert [(row.what, row.figure) for row in rows_of(document)] == [("a", 5), ("b", 2), ("c", 4)]
    assert rows_of(document, "one")[1] == first[1]


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    document = merged({}, [Row("t", "a", 1.0, 2.0, spread=(1.0, 1.5), raw=(1.0,))], ABOUT, "p")
    write(document, tmp_path / "deep" / "bench.json")
    assert rows_of(read(tmp_path / "deep" / "bench.json")) == rows_of(document)
    assert read(tmp_path / "none.json") == {}


def test_figures_read_well() -> None:
    row = Row("t", "a", 0.8123, 0.75)
    assert (figure(row), goal(row)) == ("0.812×", "≤ 0.75×")
    assert figure(Row("t", "a", 1234.5, unit="ms")) == "1,234 ms"
    assert goal(Row("t", "a", 3.2, 3, at_least=True)) == "≥ 3×"


def test_a_table_has_a_line_for_each_what_and_a_miss_stands_out() -> None:
    rows = [
        Row("t", "a", 3.0, 2.0, spread=(2.9, 3.1), column="inputs"),
        Row("t", "b", 1.0, 2.0, column="inputs"),
        Row("t", "a", 4.0, column="all"),
    ]
    assert list(markdown(rows)) == [
        "| | inputs | goal | all | goal |",
        "| --- | ---: | --- | ---: | --- |",
        "| a | **3×** (2.9 to 3.1) | ≤ 2× | 4× | — |",
        "| b | 1× | ≤ 2× |  |  |",
    ]


IN_SHORT: dict[str, list[Row]] = {
    "medians: inputs 2× (≤ 3×); all **5×** (≤ 4×)": [
        Row("t", "a", 9.0, 3.0, column="inputs"),
        Row("t", MEDIAN, 2.0, 3.0, column="inputs"),
        Row("t", MEDIAN, 5.0, 4.0, column="all"),
    ],
    "a 1 s; b skipped (≤ 2 s)": [Row("t", "a", 1.0, unit="s"), Row("t", "b", None, 2.0, "s")],
    "x 1 s; y 2×": [Row("t", "a", 1.0, unit="s", column="x"), Row("t", "a", 2.0, column="y")],
    "x 1 to 6×": [Row("t", str(n), float(n), column="x") for n in range(1, 7)],
    "skipped": [Row("t", str(n), None) for n in range(6)],
    "x 1 to 6 s; growth, x **9×** (≤ 2×)": [
        *(Row("t", str(n), float(n), unit="s", column="x") for n in range(1, 7)),
        Row("t", "growth", 9.0, 2.0, column="x"),
    ],
}


@pytest.mark.parametrize("told", IN_SHORT)
def test_a_table_in_short(told: str) -> None:
    assert in_short(IN_SHORT[told]) == told


def test_headings_are_linked_as_github_makes_them() -> None:
    title = "Peers' own servers, in times of Portgrad's call"
    assert report.anchor(title) == "peers-own-servers-in-times-of-portgrads-call"


def test_turns_are_taken_and_their_ratio_is_of_each_round() -> None:
    seconds = {"slow": 0.3, "fast": 0.1}
    now, order = [0.0], []

    def call(name: str) -> None:
        now[0] += seconds[name]
        order.append(name)

    calls: dict[str, Any] = {name: lambda name=name: call(name) for name in seconds}
    times = by_turns(calls, 3, lambda: now[0])
    assert order.index("fast") > order.index("slow")
    assert ratio(times, "slow", "fast").median == pytest.approx(3)
    assert spread([1, 2, 3, 4, 5]).quartiles == (2, 4)


def test_every_part_is_there_and_says_what_it_is() -> None:
    """Read, not imported: the packages of the extra need not be here."""
    for part in PARTS:
        tree = ast.parse((ROOT / "benchmarks" / "parts" / f"{part}.py").read_text())
        assert says(part) == ast.get_docstring(tree)
        assert "rows" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Any:
    class Part:
        found: list[Row]

        @classmethod
        def rows(cls, given: object) -> list[Row]:
            return cls.found

        @staticmethod
        def summary(rows: list[Row]) -> list[Row]:
            return [Row("t", "number of rows", len([row for row in rows if row.what == "a"]))]

    monkeypatch.setitem(GROUPS, "mine", ("mine",))
    monkeypatch.setattr("benchmarks.__main__.PARTS", (*PARTS, "mine"))
    monkeypatch.setattr("benchmarks.__main__.says", lambda _: "What it does.")
    there = importlib.import_module
    monkeypatch.setattr(
        importlib, "import_module", lambda name: Part if name.endswith(".mine") else there(name)
    )
    return Part


def test_a_run_keeps_its_rows_and_what_follows(tmp_path: Path, part: Any) -> None:
    part.found = [Row("t", "a", 3.0, 2.0)]
    assert main(["mine", "--folder", str(tmp_path)]) == 0
    kept = rows_of(read(tmp_path / "bench.json"))
    assert [(row.what, row.figure) for row in kept] == [("a", 3), ("number of rows", 1)]
    part.found = [Row("t", "b", 1.0)]
    assert main(["mine", "--folder", str(tmp_path)]) == 0
    assert [row.what for row in rows_of(read(tmp_path / "bench.json"))] == [
        *"ab",
        "number of rows",
    ]


def test_a_part_that_breaks_is_told(tmp_path: Path, part: Any) -> None:
    part.found = None  # nothing to go through
    assert main(["mine", "--folder", str(tmp_path)]) == 1


def test_a_part_that_lacks_a_package_says_how_it_is_had(
    tmp_path: Path, part: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(_: object) -> None:
        raise ModuleNotFoundError(name="torch")

    monkeypatch.setattr(part, "rows", rows)
    assert main(["mine", "--folder", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "1 of 1, mine: What it does." in told
    assert "torch is not installed" in told


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nothing"], "no such part: nothing"),
        (["speed", "--rounds", "0"], "from 1 on"),
        (["speed", "--cpu"], "--threads 1"),
        (["speed", "--nets", "nothing"], "no such net: nothing|is not installed"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*words, "--folder", str(tmp_path)])
    assert re.search(why, capsys.readouterr().err)


def test_the_folder_s_page_lists_the_parts() -> None:
    page = (ROOT / "benchmarks" / "README.md").read_text()
    listed = re.findall(r"^\| (?:`(\w+)` )?\| `(\w+)` \|", page, re.MULTILINE)
    assert [part for _, part in listed] == list(PARTS)
    assert [group for group, _ in listed if group] == list(GROUPS)


def test_a_page_of_nothing_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no figures"):
        report.main([str(tmp_path / "none.json"), str(tmp_path / "page.md")])


def test_the_page_has_every_table_with_its_machine() -> None:
    document = merged({}, [Row("A table", "a", 1.0, 2.0, note="of one net")], ABOUT, "speed")
    text = report.page(document, [])
    for expected in (
        "## A table\n\nThe time of",
        "- a: of one net",
        ABOUT["python"],
        "| a | 1× | ≤ 2× |",
        "**1 of 1 goals are met.**",
        "| [A table](#a-table) | 1× (≤ 2×) | 1 of 1 |",
        f"*{ABOUT['date'][:10]}. 9 rounds, wall time.",
    ):
        assert expected in text
    assert report.verdicts(rows_of(document)) == "1 of 1 goals are met"


def test_what_is_run_apart_has_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET", "before")
    assert apart(os.getenv, "SET", SET="there") == "there"
    assert os.environ["SET"] == "before"
    assert apart(os.getpid) != os.getpid()
