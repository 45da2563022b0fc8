"""`net.gradcheck` through the client: what is sent, and the report that comes back."""

from __future__ import annotations

import math
from typing import Any

import httpx
import numpy as np
import pytest

import portgrad
from portgrad_client import InvalidAnswerError, Net, Report
from support.formats import JSON, SAFETENSORS
from support.sdk import Scripted, layers

X = np.array([[1.0, 1.0], [-1.0, 2.0]], np.float32)
LINE = {
    "verdict": "disagrees",
    "found": "NaN",
    "expected": 1,
    "left": "-Infinity",
    "right": 3.5,
    "error": 0.25,
    "step": 1e-3,
}
PLACE = {"value": "h", "node": None, "operator": None}
WRONG = {"value": "y", "node": "n", "operator": "ai.onnx.Mul", "expected": 1.0, "found": 2.0}
TOLD: dict[str, Any] = {
    "ok": False,
    "precision": "native",
    "tolerance": 1e-3,
    "targets": {
        "x": {
            "verdict": "disagrees",
            "error": 0.25,
            "rounding": "Infinity",
            "place": PLACE,
            "directions": [LINE],
        },
        "w": {"verdict": "ok", "error": 0, "rounding": None, "place": None, "directions": []},
    },
    "disagreement": WRONG,
    "evaluations": 7,
    "random_seed": 3,
    "none": [{"name": "ids", "reason": "It holds integers."}],
    "warnings": ["Mind."],
}


def told(**changed: Any) -> httpx.Response:
    headers = {"Server-Timing": "run;dur=2", "X-Request-Id": "r1"}
    return httpx.Response(200, json=TOLD | changed, headers=headers)


def test_a_report_is_read_whole() -> None:
    found = Scripted(told()).net().gradcheck(X)
    assert isinstance(found, Report)
    assert not found.ok
    assert list(found.targets) == ["x", "w"]
    (line,) = found.targets["x"].lines
    assert math.isnan(line.found)
    assert (line.left, line.right, line.expected, line.step) == (-math.inf, 3.5, 1.0, 1e-3)
    assert (found.targets["x"].verdict, found.targets["x"].error) == ("disagrees", 0.25)
    assert (found.targets["x"].rounding, found.targets["w"].rounding) == (math.inf, None)
    place, wrong = found.targets["x"].place, found.disagreement
    assert place is not None
    assert wrong is not None
    assert (place.value, place.node) == ("h", None)
    assert (wrong.value, wrong.node, wrong.operator) == ("y", "n", "ai.onnx.Mul")
    assert (wrong.expected, wrong.found) == (1.0, 2.0)
    assert found.none == {"ids": "It holds integers."}
    assert (found.warnings, found.timings, found.request_id) == (("Mind.",), {"run": 0.002}, "r1")
    assert (found.precision, found.evaluations, found.random_seed) == ("native", 7, 3)
    assert found.plain() == TOLD


def test_what_is_asked() -> None:
    service = Scripted(told(disagreement=None))
    found = service.net().gradcheck(
        X,
        wrt=("Input",),
        output_gradients={"Output": {"index": 1}},
        directions=2,
        tolerance=1e-4,
        random_seed=5,
        precision="native",
    )
    assert found.disagreement is None
    assert service.request.url.path.endswith("/gradcheck")
    assert service.request.headers["accept"] == JSON
    assert service.request.headers["content-type"] == SAFETENSORS
    asked = {"directions": 2, "tolerance": 1e-4, "random_seed": 5, "precision": "native"}
    asked |= {"wrt": ["Input"], "output_gradients": {"Output": {"index": 1}}}
    assert service.options == {**asked, "encoding": "base64"}


@pytest.mark.parametrize(
    "fault", [{"targets": {"x": {}}}, {"tolerance": "much"}, {"disagreement": {"value": "y"}}]
)
def test_a_report_that_lacks_something_is_told(fault: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswerError):
        Scripted(told(**fault)).net().gradcheck(X)


def test_the_report_of_the_service_is_that_of_the_library(net: Net) -> None:
    options: dict[str, Any] = {"wrt": "all", "directions": 2, "random_seed": 11}
    found = net.gradcheck(X, **options)
    here = portgrad.load(layers(), threads=1).gradcheck(X, **options)
    assert found.ok
    assert found.plain() == here.plain()
    assert set(found.targets) == {"Input", "layer1.weight", "layer1.bias", "layer2.weight"}
    assert {"run", "total"} <= found.timings.keys()
