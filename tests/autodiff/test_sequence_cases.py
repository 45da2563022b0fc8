"""ONNX's own node tests of control flow, sequences and optionals: gradients against differences."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from portgrad.errors import Unsupported
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.rig import SINGLE, Case, check_adjoint, second_order
from support.sequence_cases import TensorCase, sequence_cases

# Central differences in float32 are exact at step 1 but for rounding: all are linear but this one,
# a product of three rows.
CURVED = {"test_scan9_multi_state": (1e-2, 2e-3)}
UNSUPPORTED = {"test_loop16_seq_none": "changes its type"}
AGREE = [name for name in sequence_cases() if name not in UNSUPPORTED]


def _case(given: TensorCase) -> Case:
    model = ir.to_proto(load(NetFiles(given.model.SerializeToString())))
    return Case(model, given.feeds, given.targets, given.outputs)


@pytest.mark.parametrize("name", AGREE)
def test_gradients(name: str) -> None:
    given = sequence_cases()[name]
    case = _case(given)
    for output, found in zip(given.outputs, case.run_forward(), strict=True):
        np.testing.assert_allclose(found, given.expected[output], rtol=1e-6)  # float32's rounding
    step, tolerance = CURVED.get(name, (1.0, SINGLE))
    check_adjoint(case, step=step, tolerance=tolerance)
    check_adjoint(second_order(case), step=step, tolerance=tolerance)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_built_says_so(name: str) -> None:
    with pytest.raises(Unsupported, match=UNSUPPORTED[name]):
        _case(sequence_cases()[name]).gradient()


def test_the_cases() -> None:
    assert len(sequence_cases()) == 18
