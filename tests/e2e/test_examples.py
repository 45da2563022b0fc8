"""The examples of the API's page are calls of a sample net, and their answers are true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portgrad.samples import chain
from support.http import AppClient


@pytest.mark.parametrize("call", ["evaluate", "gradient"])
def test_the_example_of_a_call(http: AppClient, call: str) -> None:
    path = f"/nets/{{net}}/{call}"
    told = http.get("/openapi.json").json()["paths"][path]["post"]
    request, shown = (
        content["application/json"]["example"]
        for content in (told["requestBody"]["content"], told["responses"]["200"]["content"])
    )
    http.post("/nets?name=chain", content=chain())
    answer = http.post(path.format(net="chain"), json=request)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert _without_numbers(found) == _without_numbers(shown)
    for kind in ("outputs", "gradients"):
        for name, numbers in shown.get(kind, {}).items():
            # float32 on another machine
            np.testing.assert_allclose(found[kind][name], numbers, rtol=1e-5)


def _without_numbers(answer: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if k in ("outputs", "gradients") else v for k, v in answer.items()}
