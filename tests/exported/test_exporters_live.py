"""Exporters as they are installed: a few nets are exported anew. Needs the extra `bench`."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

import pytest

from support.exporters.judge import CLOSE, Judged, relative
from support.exporters.sample import Made

NETS = {
    "torch_nets": ("mlp", "attention", "lstm"),
    "transformers_nets": ("bert", "llama"),
    "sklearn_nets": ("logistic_regression",),
    "onnxscript_nets": ("functions",),
}


def _module(name: str) -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what libraries say of each other while importing
            return importlib.import_module(f"support.exporters.{name}")
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")


@pytest.mark.parametrize("name", NETS)
def test_a_net_exported_now_has_the_frameworks_gradients(name: str) -> None:
    made: list[Made] = [one for one in _module(name).made() if one.name in NETS[name]]
    assert {one.name for one in made} == set(NETS[name])
    for one in made:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exported = one.make()
        judged = Judged.of(exported)
        errors = relative(judged.all_gradients(), judged.sample.gradients)
        assert {key: error for key, error in errors.items() if error > CLOSE} == {}, one
