"""Answers of workers are held to their form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portgrad.compute import messages

ONE = np.ones(2, np.float32)
WHOLE = {"outputs": {}, "derivatives": [], "about": {}, "timings": {"run": 0.5}}


@pytest.mark.parametrize("value", [ONE, [ONE, ONE], [], None])
def test_outputs(value: Any) -> None:
    answer = messages.answer_of(WHOLE | {"outputs": {"y": value}, "derivatives": [[["x"], ONE]]})
    assert answer.outputs["y"] is value
    assert answer.derivatives == {("x",): ONE}


@pytest.mark.parametrize(
    "fields",
    [
        {"outputs": {"y": 1}},
        {"outputs": {"y": "text"}},
        {"outputs": {"y": [ONE, "text"]}},
        {"outputs": {"y": {"a": ONE}}},
        {"outputs": {"y": [[ONE]]}},
        {"outputs": [ONE]},
        {"derivatives": [[["x"], [ONE]]]},
        {"derivatives": [[[1], ONE]]},
        {"about": None},
        {"timings": {"run": -1.0}},
        {"timings": {"run": float("nan")}},
    ],
    ids=str,
)
def test_what_is_no_answer(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        messages.answer_of(WHOLE | fields)
