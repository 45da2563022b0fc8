"""Operators that take, put and pick elements by index."""

from __future__ import annotations

from functools import partial

import numpy as np

from support.rig import Row
from support.rows import normal

_x = partial(normal, seed=5)


def _i(values: object) -> np.ndarray:
    return np.asarray(values, np.int64)


_TABLE = _x(4, 3)
_CUBE = _x(3, 4, 2)
_ELEMENTS = _i([[0, -1, 2], [1, 1, 0]])  # one duplicate where they go along axis 1

GATHERS = [
    Row("Gather", [_TABLE, _i([[2, 0, 2], [-1, 1, 2]])], id="embedding"),
    Row("Gather", [_TABLE, _i([2, 0, 2])], id="embedding-constant", constants=(1,)),
    Row("Gather", [_TABLE, np.asarray([3, -4], np.int32)], id="narrow-indices"),
    Row("Gather", [_CUBE, _i([[1, -1], [1, 0]])], {"axis": 1}, id="middle"),
    Row("Gather", [_CUBE, _i([1, 0, 1])], {"axis": -1}, id="last"),
    Row("Gather", [_x(5), _i([4, 4])], id="vector"),
    Row("Gather", [_CUBE, _i(2)], {"axis": 1}, id="scalar"),
    Row("Gather", [_CUBE, _i(-1)], {"axis": 1}, id="scalar-constant", constants=(1,)),
    Row("Gather", [_CUBE, _i([1])], {"axis": 0}, id="one-constant", constants=(1,)),
    Row("Gather", [_CUBE, _i([[1]])], {"axis": -1}, id="one-by-one-constant", constants=(1,)),
    Row("Gather", [_TABLE, np.zeros((0, 2), np.int64)], id="nothing"),
    Row("Gather", [_x(700, 3, 2), _i([[7, -1, 7], [0, 699, -693]])], id="large-table"),
    Row("Gather", [_x(700, 6), np.zeros((0, 2), np.int64)], id="large-table-nothing"),
    Row("GatherElements", [_TABLE, _i([[0, -1, 2], [0, 1, 2]])]),
    Row("GatherElements", [_TABLE, _i([[0, 2], [1, 1], [-3, 0], [2, 2]])], {"axis": 1}, id="axis"),
    Row(
        "GatherElements",
        [_TABLE, np.asarray([[1], [1], [0], [-1]], np.int32)],
        {"axis": -1},
        id="narrow-indices",
    ),
    Row("GatherND", [_CUBE, _i([[0, 3], [2, -1], [0, 3]])]),
    Row("GatherND", [_CUBE, _i([[[2]], [[-3]], [[2]]])], id="slices"),
    Row("GatherND", [_CUBE, _i([[0, 3, 1], [-3, 3, 1]])], id="elements"),
    Row("GatherND", [_CUBE, _i([[0], [3], [-1]])], {"batch_dims": 1}, id="batch"),
    Row(
        "GatherND",
        [_CUBE, _i([[[0, 1], [0, 1]], [[3, 0], [1, 1]], [[-1, -1], [2, 0]]])],
        {"batch_dims": 1},
        id="batch-of-elements",
    ),
    Row("GatherND", [_x(2, 2, 3), _i([[[0], [1]], [[2], [-1]]])], {"batch_dims": 2}, id="batch-2"),
    Row(
        "GatherND",
        [_x(2, 2, 3), _i([[[[0], [0]], [[1], [2]]], [[[2], [1]], [[-1], [2]]]])],
        {"batch_dims": 2},
        id="batch-2-many",
    ),
    # Known tuples of symbolic data.
    Row("GatherND", [_CUBE, _i([[0, 3], [2, -1]])], id="constant", constants=(1,)),
    Row(
        "GatherND",
        [_CUBE, _i([[0], [3], [-1]])],
        {"batch_dims": 1},
        id="batch-constant",
        constants=(1,),
    ),
    Row("Compress", [_TABLE, np.array([True, False, True])], {"axis": 0}, id="short-condition"),
    Row("Compress", [_TABLE, np.array([False, True, True])], {"axis": -1}, id="last"),
    Row("Compress", [_TABLE, np.arange(12) % 3 == 1], id="flat"),
    Row("Compress", [_TABLE, np.zeros(4, bool)], {"axis": 0}, id="nothing"),
    Row(
        "Compress",
        [_TABLE, np.array([True, False])],
        {"axis": 0},
        id="newest",
        opset=28,
        constants=(1,),
    ),
    *(
        Row(
            "TopK",
            [_x(3, 5), _i([3])],
            {"axis": axis, "largest": largest, "sorted": in_order},
            outputs=2,
            of=(0,),
            id=f"axis{axis}-largest{largest}-sorted{in_order}",
        )
        for axis, largest, in_order in ((-1, 1, 1), (0, 0, 1), (1, 0, 0))
    ),
    Row("TopK", [_x(3, 5), _i([2])], outputs="10", id="no-indices", constants=(1,)),
    Row("TopK", [_x(3, 5), _i([2])], outputs=2, of=(0,), id="newest", opset=24),
    Row(
        "TopK",
        [np.array([1.0, 3.0, 3.0]), _i([1])],
        outputs=2,
        of=(0,),
        id="tie",
        expected={0: [0.0, 1.0, 0.0]},
    ),
]

_UPDATES = _x(2, 3, seed=6)
_TUPLES = _i([[2, -1], [0, 1], [2, 1]])
_TWICE = _i([[2, 3], [0, 1], [2, -1]])  # the first and last name the same row


def _elements(reduction: str, indices: np.ndarray, id: str, **attributes: int) -> Row:
    return Row(
        "ScatterElements",
        [_TABLE, indices, _UPDATES],
        {"reduction": reduction, **attributes},
        id=f"{reduction}-{id}",
    )


def _nd(reduction: str, indices: np.ndarray, id: str) -> Row:
    shape = (*indices.shape[:-1], *_CUBE.shape[indices.shape[-1] :])
    return Row(
        "ScatterND",
        [_CUBE, indices, _x(*shape, seed=8)],
        {"reduction": reduction},
        id=f"{reduction}-{id}",
    )


SCATTERS = [
    *(
        _elements(r, _i([[0, -1, 2], [1, 1, 0]]), "distinct")
        for r in ("none", "add", "mul", "min", "max")
    ),
    *(_elements(r, _ELEMENTS, "axis", axis=-1) for r in ("add", "mul", "min", "max")),
    *(
        _elements(r, _i([[0, -1, 2], [0, 3, -2]]), "duplicates")
        for r in ("add", "mul", "min", "max")
    ),
    *(_nd(r, _TUPLES, "distinct") for r in ("none", "add", "mul", "min", "max")),
    *(_nd(r, _TWICE, "duplicates") for r in ("add", "mul", "min", "max")),
    *(_nd(r, _i([[1], [-1]]), "slices") for r in ("none", "add", "mul", "max")),
    _nd("mul", _i([[1, 0, 1], [2, 3, 0], [1, 0, 1]]), "elements"),
    Row(
        "ScatterElements",
        [np.array([1.0, 5.0]), _i([0, 0]), np.array([1.0, 0.5])],
        {"reduction": "max"},
        id="max-tie",
        expected={0: [0.5, 1.0], 2: [0.5, 0.0]},
    ),
    Row(
        "ScatterElements",
        [np.array([1.0, 5.0]), _i([1, 1]), np.array([2.0, 2.0])],
        {"reduction": "min"},
        id="min-tie",
        expected={0: [1.0, 0.0], 2: [0.5, 0.5]},
    ),
    Row(
        "ScatterND",
        [np.array([1.0, 5.0]), _i([[0], [0], [0]]), np.array([1.0, 1.0, 1.0])],
        {"reduction": "max"},
        id="max-tie",
        expected={0: [0.25, 1.0], 2: [0.25, 0.25, 0.25]},
    ),
    # One zero among the factors of a place, and two.
    Row(
        "ScatterElements",
        [np.array([2.0, 5.0]), _i([0, 0, 1]), np.array([0.0, 3.0, 4.0])],
        {"reduction": "mul"},
        id="mul-zero",
        expected={0: [0.0, 4.0], 2: [6.0, 0.0, 5.0]},
    ),
    Row(
        "ScatterND",
        [np.array([2.0, 0.0]), _i([[0], [0], [1]]), np.array([0.0, 0.0, 4.0])],
        {"reduction": "mul"},
        id="mul-zeros",
        expected={0: [0.0, 4.0], 2: [0.0, 0.0, 0.0]},
    ),
]

_VALUES = np.array([-0.3, 1.7])

_TWINS = np.array([[2.0, -1.0, 2.0], [0.5, 3.0, 0.5], [2.0, -1.0, 2.0]])  # rows and columns repeat
_DISTINCT = np.array([[2.0, -1.0], [0.5, 3.0], [1.5, 0.1]])

UNIQUES = [
    *(Row("Unique", [_DISTINCT], {"sorted": s}, id=f"flat-sorted{s}") for s in (0, 1)),
    *(
        Row("Unique", [_DISTINCT], {"axis": axis, "sorted": s}, id=f"axis{axis}-sorted{s}")
        for axis, s in ((0, 1), (-1, 0), (1, 1))
    ),
    Row("Unique", [_DISTINCT], outputs=4, of=(0,), id="all-outputs-newest", opset=28),
    Row(
        "Unique",
        [_TWINS],
        id="equal",
        expected={0: [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]},
    ),
    Row(
        "Unique",
        [_TWINS],
        {"axis": 1, "sorted": 0},
        outputs="1001",
        id="equal-columns",
        of=(0,),
        expected={0: [[1.0, 1.0, 0.0]] * 3},
    ),
]

_CACHE, _NEW = _x(2, 3, 4, 2), _x(2, 3, 2, 2, seed=6)

TENSOR_SCATTERS = [
    Row("TensorScatter", [_CACHE, _NEW], id="from-0", opset=24),
    Row("TensorScatter", [_CACHE, _NEW, _i([1, 2])], id="linear", opset=24),
    Row("TensorScatter", [_CACHE, _NEW, _i([3, 2])], {"mode": "circular"}, id="wrap", opset=24),
    Row(
        "TensorScatter",
        [_x(2, 5, 3), _x(2, 2, 3, seed=6), _i([9, 3])],
        {"mode": "circular", "axis": 1},
        id="axis",
        constants=(2,),
        opset=28,
    ),
    Row(
        "TensorScatter",
        [_x(3, 2, 4), _x(3, 2, 1), _i([0, 3, 1])],
        {"axis": -1},
        id="last",
        opset=24,
    ),
]

ROWS = [
    *GATHERS,
    *SCATTERS,
    *UNIQUES,
    *TENSOR_SCATTERS,
    Row("OneHot", [_i([1, -1, 3, 9]), _i(4), _VALUES]),
    Row("OneHot", [_i([[1, 0], [2, -2]]), _i(3), _VALUES], {"axis": 1}, id="axis"),
    # The reference takes no depth of one element, and onnxruntime has no double kernel.
    Row("OneHot", [_i([[1, 0]]), _i([3]), _VALUES], id="depth-vector", multilinear=True),
    Row("OneHot", [_i([1, 0]), _i(3), _VALUES], {"axis": 0}, id="first-newest", opset=28),
]
