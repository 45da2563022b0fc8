"""Rows of the batch table: exporters' arithmetic of shapes, with the batch size among the sizes."""

from __future__ import annotations

ROWS = [
    (
        "shape, slice, concat",
        """(float[1,2,3] x) => (y) {
            n_s = Shape(x) n_b = Slice(n_s, [0], [1], [0]) n_t = Concat<axis = 0>(n_b, [6])
            y = Reshape(x, n_t) }""",
        0,
    ),
    (
        "gather, unsqueeze, product of the rest",
        """(float[1,2,3] x) => (y) {
            n_s = Shape(x) n_b = Gather(n_s, #0) c = Gather(n_s, #1) d = Gather(n_s, #2)
            e = Mul(c, d) n_u = Unsqueeze(n_b, [0]) f = Unsqueeze(e, [0])
            n_t = Concat<axis = 0>(n_u, f) y = Reshape(x, n_t) }""",
        0,
    ),
    (
        "a token for each",
        """(float[1,3,4] x, float[1,1,4] c) => (y) {
            n_s = Shape<start = 0, end = 1>(x) n_t = Concat<axis = 0>(n_s, [-1, -1])
            n_m = Equal(n_t, [-1, -1, -1]) n_w = Where(n_m, [1, 1, 1], n_t)
            t = Expand(c, n_w) y = Concat<axis = 1>(t, x) }""",
        0,
    ),
    (
        "zeros for each",
        """(float[1,3] x) => (y) {
            n_s = Shape(x) z = ConstantOfShape(n_s) y = Add(x, z) }""",
        0,
    ),
    (
        "tiles for each",
        """(float[1,3] x, float[1,3] w) => (y) {
            n_s = Shape<end = 1>(x) n_r = Concat<axis = 0>(n_s, [1])
            t = Tile(w, n_r) y = Mul(x, t) }""",
        0,
    ),
    (
        "slice to the size",
        """(float[1,3] x) => (y) {
            n_s = Shape<end = 1>(x) y = Slice(x, [0], n_s, [0]) }""",
        0,
    ),
    (
        "a size that is not the batch",
        """(float[1,4] x) => (y) {
            s = Shape<start = 1>(x) f = Cast<to = 1>(s) y = Div(x, f) }""",
        0,
    ),
]
