"""Larger weights that one row is multiplied by are not packed; all others are, as before."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from portgrad.engine import packing

W = np.ones((256, 256), np.float32)
ROWS = {
    "one row": ("float[1, 256] x", "y = MatMul(x, w)", True),
    "of several axes": ("float[1, 1, 256] x", "y = MatMul(x, w)", True),
    "a row alone": ("float[256] x", "y = MatMul(x, w)", True),
    "and a sum": ("float[1, 256] x", "z = Gemm(x, w) y = Add(z, w)", True),
    "one column, turned": ("float[256, 1] x", "y = Gemm<transA = 1>(x, w)", True),
    "as a bias": ("float[256, 1] x, float[1, 256] r", "y = Gemm(x, r, w)", True),
    "two rows": ("float[2, 256] x", "y = MatMul(x, w)", False),
    "two matrices": ("float[2, 1, 256] x", "y = MatMul(x, w)", False),
    "many columns, turned": ("float[256, 256] x", "y = Gemm<transA = 1>(x, w)", False),
    "rows that are open": ("float[n, 256] x", "y = MatMul(x, w)", False),
    "one product of two": ("float[1, 256] x", "z = MatMul(x, w) y = MatMul(w, w)", False),
    "the first operand": ("float[256, 1] x", "y = MatMul(w, x)", False),
    "another operator": ("float[1, 256] x", "t = Transpose(w) y = MatMul(x, t)", False),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_packing_is_in_vain(name: str) -> None:
    ports, nodes, expected = ROWS[name]
    text = f'<ir_version: 10, opset_import: ["": 21]> g ({ports}) => (float y) {{ {nodes} }}'
    graph = ir.from_onnx_text(text, initializers=[ir.tensor(W, name="w")]).graph
    assert packing.is_in_vain(list(graph), {"w"}) == expected
    assert not packing.is_in_vain(list(graph), set())
    graph.initializers["w"].const_value = ir.tensor(W[:128, :256], name="w")
    assert not packing.is_in_vain(list(graph), {"w"})
