"""Where torch has the operator, its gradients in float64 are those that the rules give.

torch comes with the extra `bench`; without it these tests are skipped.
"""

from __future__ import annotations

import numpy as np
import pytest

from rules.test_rule_table import ROWS
from support.double import Arrays, runner
from support.random_nets.calls import typed
from support.rig import Case, Row, case

torch = pytest.importorskip("torch")

from support.torch_table import TABLE, WITHOUT, Args, Result  # noqa: E402

# Two computations of the same sums in float64; in float32 where an operator has no other form.
DOUBLE, SINGLE = 1e-9, 1e-4

# What comes between: bodies of the standard with constants in float32, and a kernel of
# onnxruntime that divides an inverse transform of float64 by a float32.
ROUGH = dict.fromkeys(("Attention", "Gelu", "HardSwish", "DFT", "STFT"), 1e-7)

THEIRS = [row for row in ROWS if row.op in TABLE and not row.domain]
OURS = [row for row in THEIRS if row.expected is None]
KINKS = [row for row in THEIRS if row.expected is not None]

_NAN = np.nan
# torch's gradients where it has another convention, by row and operand, for ones imposed; what is
# ours is in the rows, and why in docs/decisions/0004-kinks.md.
OTHERWISE: dict[str, dict[int, object]] = {
    # Two at a time, so three that are equal share unevenly.
    "Max-ties": {0: [0.25, 0.5, 0.5], 1: [0.25, 0.0, 0.5], 2: [0.5, 0.5, 0.0]},
    # clamp passes at its bounds, which get nothing; hardtanh and relu6, of the same Clip, do not.
    "Clip-at-bounds": {0: [1.0, 1.0, 1.0, 0.0], 1: 0.0, 2: 1.0},
    # amax shares among ties, where max_pool has the first one.
    "GlobalMaxPool-ties": {0: [[[0.0, 1 / 3, 1 / 3, 1 / 3, 0.0, 0.0]]]},
    # Wrong: the derivative exists, and is the cofactors.
    "Det-singular-exact": {0: np.zeros((2, 2))},
    "Det-rank-1-of-2": {0: np.zeros((2, 2))},
    "Det-rank-2-of-3": {0: np.zeros((3, 3))},
    "ReduceLogSumExp-far": {0: [[_NAN, _NAN], [0.0, 1.0], [1.0, 0.0]]},
    # normalize divides by at least 1e-12.
    "LpNormalization-p1-at-0": {0: [[1e12, 1e12], [0.5, 0.0]]},
    "LpNormalization-p2-at-0": {0: [[1e12, 1e12], [0.5, 0.0]]},
}
# Wrong in torch at the first of its matrices, as in Det-singular-exact.
SINGULAR = "Det-singular"


def _torch(row: Row, seeds: Arrays) -> tuple[list[np.ndarray], Arrays] | None:
    """torch's outputs, and its gradients by operand, None where it has no such call."""
    targets = [i for i in row.targets if i not in WITHOUT.get(row.op, ())]
    args = Args(row, targets)
    found: Result = TABLE[row.op](args)
    if found is None:
        return None
    results = [found] if isinstance(found, torch.Tensor) else found
    outputs = dict(zip(row.output_names, results, strict=False))
    wanted = [outputs[name.removeprefix("seed/")] for name in seeds]
    pairs = zip(wanted, seeds.values(), strict=True)
    total = sum((y * torch.from_numpy(seed)).sum() for y, seed in pairs)
    operands = [args[i] for i in targets]
    found = torch.autograd.grad(total, operands, allow_unused=True, materialize_grads=True)
    gradients = {f"x{i}": g.numpy() for i, g in zip(targets, found, strict=True)}
    return [y.detach().numpy() for y in wanted], gradients


def _seeds(which: Case) -> Arrays:
    return {n: x.astype(np.float64) for n, x in which.seeds(which.run_forward()).items()}


@pytest.mark.parametrize("row", OURS, ids=str)
def test_torch_has_the_same_gradients(row: Row) -> None:
    ours = case(row, row.dtype)
    seeds = _seeds(ours)
    theirs = _torch(row, seeds)
    if theirs is None:
        pytest.skip("torch has no such call")
    bound = ROUGH.get(row.op, DOUBLE) if row.dtype is np.float64 else SINGLE
    rounded = typed(ours.gradient(), seeds)
    outputs, gradients = theirs
    mine = dict(zip(ours.wrt, ours.run_gradient(rounded), strict=True))
    if str(row) == SINGULAR:
        assert not gradients["x0"][0].any()
        gradients["x0"][0] = mine["x0"][0]
    pairs = [*zip(ours.run_forward(), outputs, strict=True)]
    for found, other in [*pairs, *((mine[name], g) for name, g in gradients.items())]:
        atol = bound * (1.0 + float(np.max(np.abs(other), initial=0.0)))
        np.testing.assert_allclose(found, other, rtol=bound, atol=atol)


@pytest.mark.parametrize("row", KINKS, ids=str)
def test_where_torch_has_another_convention_is_known(row: Row) -> None:
    assert row.expected is not None
    which = case(row, np.float32)
    outputs = runner(which.forward(), engine="onnxruntime")(which.feeds)
    ones = {f"seed/{n}": np.ones(y.shape) for n, y in zip(which.of, outputs, strict=True)}
    theirs = _torch(row, ones)
    if theirs is None:
        pytest.skip("torch has no such call")
    for name, gradient in theirs[1].items():
        position = int(name.removeprefix("x"))
        want = OTHERWISE.get(str(row), row.expected)[position]
        # The table of kinks is in float32.
        np.testing.assert_allclose(
            gradient,
            np.broadcast_to(np.asarray(want, np.float64), gradient.shape),
            rtol=1e-6,
            atol=1e-6,
        )


def test_each_operator_of_the_table_has_a_row_that_torch_has() -> None:
    compared = {row.op for row in OURS if _torch(row, _seeds(case(row, row.dtype))) is not None}
    assert compared == set(TABLE)
