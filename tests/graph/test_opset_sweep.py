"""The rule table at every older version of its operators: the same meaning has the same gradient.

Each row is written in each schema version below the working opset that can say it, loaded as an
upload is, and run. Its outputs are those that onnxruntime gives for the old net, where it runs it,
else those of the row; its gradient is that of the row, or, where the version means something else,
agrees with central differences of the old net.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.errors import InvalidNet
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from portgrad.graph.opsets import WORKING_OPSET
from rules.test_rule_table import ROWS as ALL_ROWS
from support.double import Arrays, directional, runner
from support.old_operators import CASES
from support.older import older, versions
from support.operators import DIFFERENTIABLE
from support.rig import SINGLE, Case, Row, case

SAME, OTHERWISE, REFUSED, NO_FORM = "same", "otherwise", "refused", "no such form"
Outputs = Sequence[np.ndarray]
ROWS = [row for row in ALL_ROWS if not row.domain]

BROADCASTING = ("Add", "Div", "Sub", "Mul", "Max", "Min")
# Not valid there: NumPy's broadcasting, axes counted from the end, an output that must be there;
# and modes of Resize 10 that only the runtime knows.
INVALID = {
    *(f"{op}-{way}@6" for op in BROADCASTING for way in ("scalar-left", "middle")),
    *(f"{op}-{way}@6" for op in ("Add", "Div") for way in ("outer", "lead")),
    *(f"TopK-no-indices@{version}" for version in (1, 10, 11)),
    *("Squeeze-axes@1", "Unsqueeze@1", "Pow-scalar-base@1", "Pow-both-broadcast@1"),
    *("GRU-plain@1", "GRU-only-y@1", "GRU-relu-at-2@1"),
    *(f"Resize-cubic-half_pixel-{way}@10" for way in ("down", "up")),
}  # fmt: skip
# Versions that mean something else by the same node, and those whose own kernel does.
CHANGED = {
    *(f"RoiAlign-{row}@10" for row in ("adaptive", "fixed", "one-output", "newest")),
    *(f"RoiAlign-{row}@10" for row in ("max", "max-fixed")),
    *(f"Resize-{row}@10" for row in ("scales-dynamic", "vector", "matrix", "channels-last")),
    *(f"Resize-{row}@10" for row in ("volume", "linear-half_pixel-down", "linear-half_pixel-up")),
    "Resize-nearest-half_pixel-round_prefer_floor@10",
    *(
        f"{op}{axis}@{version}"
        for op in ("Softmax", "LogSoftmax")
        for axis in ("", "-axis0", "-axis1", "-axis-2")
        for version in (1, 11)
    ),
}
# Deprecated there, and refused as the standard refuses them: `test_conversion` has the errors.
DEPRECATED = {"GroupNormalization@18", "Scatter@11", "Upsample@10"}


def _close(one: Outputs, other: Outputs) -> bool:
    return all(
        a.shape == b.shape
        and a.dtype == b.dtype
        and np.allclose(a, b, rtol=SINGLE, atol=SINGLE * _largest(a), equal_nan=True)
        for a, b in zip(one, other, strict=True)
    )


def _largest(array: np.ndarray) -> float:
    return 1.0 + float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0))


def _outcomes(row: Row) -> dict[str, str]:
    """What comes of a row in each older version."""
    newest = case(row, np.float32)
    outputs = newest.run_forward()
    seeds = newest.seeds(outputs)
    gradients = dict(zip(newest.wrt, newest.run_gradient(seeds), strict=True))
    found = {}
    for version in versions(row.op, WORKING_OPSET):
        name, form = f"{row}@{version}", older(row, version)
        if form is None:
            found[name] = NO_FORM
            continue
        model, feeds = form
        kept = {target: gradient for target, gradient in gradients.items() if target in feeds}
        engine = row.engine if row.opset == WORKING_OPSET else "any"  # kernels went with opsets
        old = Case(model, feeds, tuple(kept), newest.of, engine)
        found[name] = _outcome(old, name, outputs, seeds, list(kept.values()))
    return found


def _outcome(old: Case, name: str, outputs: Outputs, seeds: Arrays, gradients: Outputs) -> str:
    try:
        net = load(NetFiles(old.model.SerializeToString()))
    except InvalidNet as error:
        return REFUSED if "`node`" in (error.where or "") else str(error)
    loaded = Case(ir.to_proto(net), old.feeds, old.wrt, old.of, old.engine)
    found = loaded.run_forward()
    assert _close(_by_runtime(old) or outputs, found), f"{name}: other outputs"
    if _close(outputs, found):
        assert _close(gradients, loaded.run_gradient(seeds)), f"{name}: another gradient"
        return SAME
    seeds = loaded.seeds(found)
    _check_differences(old, seeds, loaded.run_gradient(seeds))
    return OTHERWISE


def _by_runtime(old: Case) -> Outputs | None:
    """The outputs of the old net where onnxruntime runs it, and rightly."""
    if old.engine == "reference":
        return None
    try:
        return runner(old.forward(), engine="onnxruntime")(old.feeds)
    except Exception:
        return None


def _check_differences(old: Case, seeds: Arrays, gradients: Outputs) -> None:
    run = runner(old.forward(), engine="onnxruntime")
    rng = np.random.default_rng(3)
    for name, gradient in zip(old.wrt, gradients, strict=True):
        v = np.asarray(rng.standard_normal(gradient.shape))
        numeric = directional(run, old.feeds, list(seeds.values()), {name: v}, 1e-2)
        # h² with h = 0.01 and rounding of 1e-7 / h, by third derivatives
        scale = 1.0 + float(np.linalg.norm(gradient) * np.linalg.norm(v))
        assert abs(float(np.vdot(gradient, v)) - numeric) <= 2e-3 * scale, name


@pytest.mark.parametrize("op", sorted({row.op for row in ROWS if versions(row.op, WORKING_OPSET)}))
def test_older_versions_have_the_right_gradient(op: str) -> None:
    found = {n: o for row in ROWS if row.op == op for n, o in _outcomes(row).items()}
    assert set(found.values()) <= {SAME, OTHERWISE, REFUSED, NO_FORM}
    assert {name for name, outcome in found.items() if outcome == REFUSED} == INVALID & set(found)
    assert {name for name, outcome in found.items() if outcome == OTHERWISE} == CHANGED & set(found)


def _has_a_row(op: str, version: int) -> bool:
    if any(older(row, version) for row in ROWS if row.op == op):
        return True
    return any(
        case.op == op and onnx.defs.get_schema(op, case.opset, "").since_version == version
        for case in CASES
    )


def test_every_version_of_every_operator_has_a_row() -> None:
    all_versions = [
        (op, version) for op in DIFFERENTIABLE for version in versions(op, WORKING_OPSET)
    ]
    missing = {f"{op}@{version}" for op, version in all_versions if not _has_a_row(op, version)}
    assert missing == DEPRECATED
