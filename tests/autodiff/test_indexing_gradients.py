"""What gradients of indexing are made of: exact with equal indices, and few nodes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from support.double import runner
from support.rig import Row, case

ROWS, WIDTH, TABLE = 512, 768, 4


def _gradient(row: Row) -> onnx.ModelProto:
    return case(row, np.float32).gradient()


@pytest.mark.parametrize(
    ("op", "indices"),
    [("Gather", np.full(ROWS, 3)), ("GatherND", np.full((ROWS, 1), -1))],
)
def test_equal_indices_lose_no_update_on_several_threads(op: str, indices: np.ndarray) -> None:
    # onnxruntime's ScatterND adds tuples on several threads and loses updates at this size.
    model = _gradient(Row(op, [np.zeros((TABLE, WIDTH)), indices.astype(np.int64)]))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {"x0": np.zeros((TABLE, WIDTH), np.float32), "x1": indices.astype(np.int64)}
    [gradient] = session.run(None, {**feeds, "seed/y0": np.ones((ROWS, WIDTH), np.float32)})
    expected = np.zeros((TABLE, WIDTH), np.float32)
    expected[3] = ROWS
    np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize(
    "row",
    [
        Row("Gather", [np.ones((3, 2)), np.array([2, 2, 0])], id="rows"),
        Row("GatherElements", [np.ones((3, 2)), np.array([[2, 0], [2, 1]])], id="elements"),
        Row("GatherND", [np.ones((3, 2)), np.array([[2, 1], [2, 1]])], id="tuples"),
        Row("Pad", [np.ones((3, 2)), np.array([1, 1, 2, 0])], {"mode": "edge"}, id="margin"),
    ],
    ids=str,
)
def test_sums_of_16_bit_numbers_run(row: Row) -> None:
    # onnxruntime has the kernel that adds them and refuses to run it.
    half = case(row, np.float16)
    seeds = half.seeds(half.run_forward())
    [gradient] = runner(half.gradient(), engine="onnxruntime")({**half.feeds, **seeds})
    wide = case(row)
    [expected] = wide.run_gradient({name: s.astype(np.float64) for name, s in seeds.items()})
    assert gradient.dtype == np.float16
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3)  # 11 bits


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        pytest.param(
            Row("Gather", [np.zeros((3, 4)), np.array(1)], {"axis": 1}, constants=(1,)),
            {"Unsqueeze", "Pad"},
            id="class-token",
        ),
        pytest.param(
            Row("Slice", [np.zeros((3, 4)), np.array([1]), np.array([3])], constants=(1, 2)),
            {"Pad"},
            id="window",
        ),
        pytest.param(
            Row("Pad", [np.zeros((3, 4)), np.array([1, 0, 2, 0])], constants=(1,)),
            {"Pad"},
            id="margin",
        ),
        pytest.param(
            Row("Concat", [np.zeros((3, 4)), np.zeros((3, 2))], {"axis": 1}), {"Split"}, id="concat"
        ),
        pytest.param(
            Row("Resize", [np.zeros((1, 1, 2, 2)), None, np.array([1, 1, 2, 2], np.float32)],
                constants=(2,), wrt=(0,)),
            {"Reshape", "ReduceSum"},
            id="doubled-image",
        ),
    ],
)  # fmt: skip
def test_common_cases_need_few_nodes(row: Row, kinds: set[str]) -> None:
    frame = {"Identity", "Expand", "Reshape", "Shape", row.op}
    emitted = {node.op_type for node in _gradient(row).graph.node}
    assert emitted - frame == kinds - frame
