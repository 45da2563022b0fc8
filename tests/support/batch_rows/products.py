"""Rows of the batch table: matrix products."""

from __future__ import annotations

ROWS = [
    ("rows by shared", "(float[1,4] x, float[4,3] w) => (y) { y = MatMul(x, w) }", 0),
    ("rows by a vector", "(float[1,4] x, float[4] w) => (y) { y = MatMul(x, w) }", 0),
    ("rows by a stack", "(float[1,4] x, float[2,4,3] w) => (y) { y = MatMul(x, w) }", 1),
    ("columns", "(float[1,4] x, float[3,4] w) => (y) { t = Transpose(x) y = MatMul(w, t) }", 1),
    (
        "vector by columns",
        "(float[1,4] x, float[4] w) => (y) { t = Transpose(x) y = MatMul(w, t) }",
        0,
    ),
    ("stack by shared", "(float[1,2,4] x, float[4,3] w) => (y) { y = MatMul(x, w) }", 0),
    ("stack by stack", "(float[1,2,4] x, float[1,4,3] x2) => (y) { y = MatMul(x, x2) }", 0),
    ("shared by stack", "(float[5,2,4] w, float[1,1,4,3] x) => (y) { y = MatMul(w, x) }", 0),
    ("stack by a vector", "(float[1,2,4] x, float[4] w) => (y) { y = MatMul(x, w) }", 0),
    ("vector by a stack", "(float[1,4,2] x, float[4] w) => (y) { y = MatMul(w, x) }", 0),
    (
        "gemm",
        "(float[1,4] x, float[3,4] w, float[3] b) => (y) { y = Gemm<transB = 1>(x, w, b) }",
        0,
    ),
    (
        "gemm of columns",
        "(float[2,4] w, float[1,4] x, float[2,1] b) => (y) { y = Gemm<transB = 1>(w, x, b) }",
        1,
    ),
    (
        "gemm with an example's addend",
        "(float[1,4] x, float[4,3] w, float[1,3] x2) => (y) { y = Gemm(x, w, x2) }",
        0,
    ),
    ("integers", "(uint8[1,4] x, uint8[4,3] w, uint8 z) => (y) { y = MatMulInteger(x, w, z) }", 0),
    (
        "quantised",
        """(uint8[1,4] x, uint8[4,3] w, uint8 z, float s) => (y) {
            e = Exp(s) y = QLinearMatMul(x, e, z, w, e, z, e, z) }""",
        0,
    ),
    (
        "einsum",
        '(float[1,4] x, float[4,3] w) => (y) { y = Einsum<equation = "bi, ij -> jb">(x, w) }',
        1,
    ),
]
