"""Pipelines of scikit-learn, fitted and converted here; the extra `bench` has what it needs."""

from __future__ import annotations

import dataclasses
import warnings

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")

from support.pipelines import Pipeline, check
from support.sklearn_nets import exported
from support.sklearn_table import NETS


@pytest.mark.parametrize("name", [name for name in NETS if NETS[name].data != "texts"])
def test_gradients_are_the_slopes_of_scikit_learn(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both packages warn of what they are about to change
        made = exported(NETS[name])
    check(Pipeline(made.model, made.sample))


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 22])
@pytest.mark.parametrize("name", ["logistic_three", "svc_probable", "gaussian_process", "forest"])
def test_whatever_the_opset(name: str, opset: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = exported(dataclasses.replace(NETS[name], opset=opset))
    check(Pipeline(made.model, made.sample))


def test_every_file_has_its_pipeline() -> None:
    from classical.test_pipelines import NAMES

    assert set(NAMES) == set(NETS)
