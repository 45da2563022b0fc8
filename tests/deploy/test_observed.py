"""The alerts and the dashboard of deploy/ ask for metrics and labels that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from portgrad.api.app import create_app
from portgrad.api.server.edge import edge
from portgrad.api.server.serving import watch
from portgrad.compute.stats import PoolStats, WorkerStats
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.balanced import ROOT
from support.fake_compute import FakeCompute, fake_net
from support.http import serving

FILE = "deploy/prometheus/alerts.yaml"
PROMTOOL = shutil.which("promtool")
ALERTS = yaml.safe_load((ROOT / FILE).read_text())
BOARD = json.loads((ROOT / "deploy/grafana/portgrad.json").read_text())
PAGE = (ROOT / "docs/howto/observe.md").read_text()
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{
        f"{panel['title']}, {target['refId']}": target["expr"]
        for panel in PANELS
        for target in panel["targets"]
    },
}
with_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus"
)
# What Prometheus adds itself, and what stands in the dashboard for a choice of its reader.
OWN_LABELS = {"instance", "job"}
SELECTOR = re.compile(r"(portgrad_\w+|up)(?:\{([^}]*(?:\{[^}]*\}[^}]*)*)\})?")
FUNCTIONS = {
    "sum", "max", "min", "by", "rate", "increase", "histogram_quantile", "topk", "and",
}  # fmt: skip


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a service with a bit of everything tells."""
    compute = FakeCompute()
    compute.pool = PoolStats(
        (WorkerStats("worker-1", 1, "idle"),),
        worker_memory_bytes=1,
        others={"nursery": 1},
        deaths={"crashed": 1},
    )
    store = LocalStore(tmp_path_factory.mktemp("data"))
    settings = Settings()
    app = create_app(store, compute, settings)
    bounds = edge(settings)
    watch(app, bounds)
    bounds.refused["malformed_request"] += 1
    with serving(app) as http:
        http.post("/nets?name=echo", content=fake_net())
        http.post("/nets/echo/gradient", json={"data": [1]})
        http.get("/nets/nobody")
        return http.get("/metrics").text


@pytest.fixture(scope="module")
def samples(text: str) -> dict[str, set[str]]:
    """The labels of each series."""
    families = text_string_to_metric_families(text)
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The series that an expression asks for, and the labels by which it chooses."""
    for name, chosen in SELECTOR.findall(expression):
        yield name, set(re.findall(r'(\w+) ?(?:=~|!~|!=|=) ?"', chosen or ""))


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_an_expression_asks_for_what_there_is(title: str, samples: dict[str, set[str]]) -> None:
    expression = EXPRESSIONS[title]
    found = dict(selectors(expression))
    assert found
    assert found.keys() <= samples.keys() | {"up"}
    for name, labels in found.items():
        assert labels <= samples.get(name, set()) | OWN_LABELS
    together = set().union(*(samples.get(name, set()) for name in found)) | OWN_LABELS
    for by in re.findall(r"by \(([^)]*)\)", expression):
        assert set(by.split(", ")) <= together


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_an_expression_is_well_formed(title: str) -> None:
    expression = EXPRESSIONS[title]
    outside = re.sub(r'"[^"]*"', "", expression)
    for opening, closing in ("()", "{}", "[]"):
        assert outside.count(opening) == outside.count(closing)
    plain = SELECTOR.sub("", re.sub(r"by \([^)]*\)", "by", expression))
    words = set(re.findall(r"[a-z_]{2,}", re.sub(r"\[[^\]]*\]", "", plain)))
    assert words <= FUNCTIONS
    # A counter alone says nothing, and a rate of what is no counter neither.
    for name in re.findall(r"(?<!rate\()(?<!increase\()(portgrad_\w+_total)", expression):
        pytest.fail(f"{name} without a rate")
    for name in re.findall(r"(?:rate|increase)\((portgrad_\w+)", expression):
        assert name.endswith(("_total", "_bucket", "_sum", "_count"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_whom_it_wakes_and_what_is_wrong(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Portgrad[A-Za-z]+", rule["alert"])
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    assert rule["labels"]["severity"] in {"page", "ticket"}
    kept = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    grouped = set(re.findall(r"by \((\w+)\)", rule["expr"]))
    aggregated = re.match(r"\s*(sum|max|min)", rule["expr"])
    assert kept <= (grouped if aggregated else OWN_LABELS)


def test_the_dashboard_has_room_for_every_panel() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    named = {variable["name"] for variable in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(BOARD["panels"])))
    assert used <= named | {"__rate_interval"}


def test_the_page_has_every_metric(samples: dict[str, set[str]]) -> None:
    told = set(re.findall(r"`(portgrad_\w+)`", PAGE))
    there = {re.sub(r"_(bucket|sum|count)$", "", name) for name in samples}
    own = {name for name in there if not name.startswith("portgrad_process_")}
    assert sorted(own - told) == [], "docs/howto/observe.md lacks these metrics"
    assert sorted(told - there) == [], "docs/howto/observe.md has metrics that there are not"


@with_promtool
def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    named = [
        {"record": f"checked:{number}", "expr": re.sub(r"\[\$\w+\]", "[5m]", expression)}
        for number, expression in enumerate(EXPRESSIONS.values())
    ]
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "checked", "rules": named}]}))
    command = [str(PROMTOOL), "check", "rules", str(rules), str(ROOT / FILE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@with_promtool
def test_prometheus_finds_nothing_wrong_with_the_metrics(text: str) -> None:
    command = [str(PROMTOOL), "check", "metrics"]
    checked = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert checked.stderr + checked.stdout == ""
