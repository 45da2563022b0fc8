"""Running products, determinants."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np

from support.rig import Row
from support.rows import normal

_x = partial(normal, seed=5)


# No zero, one, and two along the last axis.
_ZEROS = np.array([[2.0, 3.0, -1.5, 0.5, 1.2], [0.7, 0.0, 2.0, -3.0, 1.1], [1.3, 0.0, 4.0, 0.0, 2]])
_LAST, _FIRST = np.array(-1), np.array(0)

# Of rank n - 1 and n - 2, and regular ones.
_RANK_2 = np.outer([1.0, 2.0, -1.0], [0.5, 1.0, 2.0]) + np.outer([0.0, 1.0, 1.0], [3.0, 1.0, 0.0])
_RANK_1 = np.outer([1.0, 2.0, -1.0], [0.5, 1.0, 2.0])

ROWS = [
    *(
        Row(
            "CumProd",
            [_ZEROS, _LAST],
            {"exclusive": exclusive, "reverse": reverse},
            id=f"exclusive{exclusive}-reverse{reverse}",
            constants=(1,),
            opset=26,
        )
        for exclusive, reverse in itertools.product((0, 1), (0, 1))
    ),
    Row("CumProd", [_x(2, 4, 3), np.array(1)], {"reverse": 1}, constants=(1,), id="mid", opset=26),
    Row("CumProd", [_ZEROS, _FIRST], {"exclusive": 1}, constants=(1,), id="first", opset=28),
    Row("CumProd", [_ZEROS, _LAST], {"exclusive": 1}, id="run-time", opset=26),
    Row("CumProd", [_x(2, 3, 2), np.array(1)], {"reverse": 1}, id="run-time-middle", opset=26),
    Row("CumProd", [_x(1), _FIRST], constants=(1,), id="one", opset=26),
    Row("CumProd", [np.zeros((2, 0)), _LAST], constants=(1,), id="empty", opset=26),
    Row("Det", [_x(4, 4)]),
    Row("Det", [_x(2, 3, 2, 2)], id="batch"),
    Row("Det", [np.stack([_RANK_2, _RANK_1, _x(3, 3)])], id="singular"),
    Row("Det", [_x(3, 1, 1)], id="one"),
    Row("Det", [_x(5, 5)], id="newest", opset=22),
    Row("Det", [np.zeros((2, 2))], id="zeros", expected={0: [[0.0, 0.0], [0.0, 0.0]]}),
    Row(
        "Det",
        [np.array([[1.0, 2.0], [2.0, 4.0]])],
        id="singular-exact",
        expected={0: [[4.0, -2.0], [-2.0, 1.0]]},
    ),
]
