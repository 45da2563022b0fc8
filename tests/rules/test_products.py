"""What the rule table cannot say of products and convolutions: memory, and what is refused."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.autodiff.rules.einsum import Equation
from portgrad.errors import Unsupported
from support.rig import Row, case

_ONES = np.ones


def _weighted(op: str, x: tuple[int, ...], w: tuple[int, ...], **attributes: object) -> Row:
    return Row(op, [_ONES(x), _ONES(w)], attributes, constants=(1,), wrt=(0, 1))


@pytest.mark.parametrize(
    "row",
    [
        _weighted("MatMul", (4, 3), (3, 2)),
        _weighted("MatMul", (3,), (3, 2)),
        _weighted("MatMul", (2, 5, 4, 3), (3, 2)),
        _weighted("MatMul", (2, 4, 3), (1, 3, 2)),
        Row("MatMul", [_ONES((4, 3)), _ONES((2, 3, 2))], constants=(0,), wrt=(0, 1)),
        _weighted("Gemm", (4, 3), (3, 2)),
        _weighted("Gemm", (4, 3), (2, 3), transB=1),
        _weighted("Einsum", (2, 4, 3), (3, 5), equation="bij,jk->bik"),
        _weighted("Conv", (1, 2, 5, 5), (3, 2, 3, 3)),
        _weighted("ConvTranspose", (1, 2, 5, 5), (2, 3, 3, 3)),
    ],
    ids=lambda row: f"{row.op}-{'x'.join(map(str, row.inputs[0].shape))}",
)
def test_no_weight_is_held_twice(row: Row) -> None:
    """The runtime folds whatever moves a weight's elements into a second copy of the weight."""
    which = case(row)
    graph = gradient_graph(ir.from_proto(which.model), wrt=which.wrt, of=which.of).model.graph
    moved = [
        node.op_type
        for node in graph
        if node.op_type in {"Transpose", "Slice", "Gather"}
        and any(value is not None and value.name in {"x0", "x1"} for value in node.inputs[:1])
        and node.inputs[0] is not None
        and node.inputs[0].is_initializer()
    ]
    assert moved == []


def test_a_kernel_of_unknown_size_is_refused() -> None:
    row = Row("Conv", [_ONES((1, 2, 5)), _ONES((3, 2, 3))])
    with pytest.raises(Unsupported, match="spatial size of the kernel 'x1'"):
        case(row, np.float32, symbolic=True).gradient()


@pytest.mark.parametrize(
    ("text", "ranks", "inputs", "output"),
    [
        ("ij,jk", (2, 2), ("ij", "jk"), "ik"),
        ("ba", (2,), ("ba",), "ab"),
        ("JI", (2,), ("JI",), "IJ"),
        ("ii", (2,), ("ii",), ""),
        ("i...,...j", (3, 2), ("iab", "bj"), "abij"),
        (" ... i -> ... ", (3,), ("abi",), "ab"),
        ("...,...->...", (1, 0), ("a", ""), "a"),
        ("ij->", (2,), ("ij",), ""),
    ],
)
def test_equations(text: str, ranks: tuple[int, ...], inputs: tuple[str, ...], output: str) -> None:
    assert Equation.parse(text, ranks) == Equation(inputs, output)


def test_an_implied_output_of_small_and_capital_letters_is_refused() -> None:
    with pytest.raises(Unsupported, match="disagree about the order"):
        Equation.parse("aB", (2,))
