"""The example that trains a classifier with nothing but calls of a service."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from portgrad_client import Client
from support.http import AppClient
from support.sdk import ADDRESS, pool

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_by_service.py"


@pytest.fixture
def example() -> ModuleType:
    for library in ("sklearn", "scipy"):
        pytest.importorskip(library)
    spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_classifier_is_trained_by_calls_alone(example: ModuleType, http: AppClient) -> None:
    learnt_from, tested_on = example.digits()
    assert len(tested_on["label"]) > 500
    start = example.random_weights()
    losses: list[float] = []
    with Client(ADDRESS, http_client=pool(http)) as client:
        net = client.upload(example.classifier(start))
        before = example.accuracy(net, tested_on, start)
        weights = example.train(
            net, learnt_from, start, 40, tell=lambda step, loss: losses.append(loss)
        )
        after = example.accuracy(net, tested_on, weights)
        unchanged = net.evaluate(tested_on)["logits"]
    assert before < 0.3
    assert after > 0.95
    assert losses[-1] < losses[0] / 100
    # The net itself never changed.
    assert (unchanged.argmax(axis=1) == tested_on["label"]).mean() == before
