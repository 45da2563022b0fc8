"""Files in onnx's reference evaluator, which computes with NumPy and knows nothing of a runtime.

Where it gets an operator wrong, another one takes its place; where that would be half of a net's
operators, the table says why it is left out.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from support.double import Arrays
from support.gradient_files import NETS, made


def _run(name: str, *own: type) -> list[np.ndarray]:
    model = onnx.load_from_string(made(name).content)
    found: list[np.ndarray] = ReferenceEvaluator(model, new_ops=list(own)).run(
        None, made(name).feeds
    )
    return found


def _check(name: str, found: list[np.ndarray]) -> None:
    want: Arrays = made(name).want
    for (key, array), got in zip(want.items(), found, strict=True):
        # Sums of a few dozen float32 products in another order, and other functions.
        close = NETS[name].close * (1.0 + float(np.max(np.abs(array), initial=0.0)))
        np.testing.assert_allclose(got, array, rtol=0, atol=close, err_msg=key)


@pytest.mark.parametrize("name", [name for name, row in NETS.items() if not row.beyond])
def test_the_reference_gives_what_the_engine_gives(name: str) -> None:
    _check(name, _run(name, *NETS[name].own))


@pytest.mark.parametrize("name", NETS)
def test_the_checker_passes_in_full(name: str) -> None:
    onnx.checker.check_model(onnx.load_from_string(made(name).content), full_check=True)


@pytest.mark.parametrize("name", [name for name, row in NETS.items() if row.own or row.beyond])
def test_nothing_is_given_anew_without_need(name: str) -> None:
    """A newer onnx may have mended what is told of it here."""
    own = NETS[name].own if NETS[name].beyond else ()
    with pytest.raises(Exception, match=r"\S"):  # it raises many kinds, or the numbers are wrong
        _check(name, _run(name, *own))
