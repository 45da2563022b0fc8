"""Rows of the batch table: transpose, concatenate, slice, repeat."""

from __future__ import annotations

ROWS = [
    ("transpose", "(float[1,3,4] x) => (y) { y = Transpose<perm = [2, 0, 1]>(x) }", 1),
    ("concat", "(float[1,2] x, float[1,3] x2) => (y) { y = Concat<axis = -1>(x, x2) }", 0),
    (
        "concat with a shared token",
        "(float[1,3,4] x, float[1,1,4] c) => (y) { y = Concat<axis = 1>(c, x) }",
        0,
    ),
    (
        "the same token twice",
        "(float[1,3] x, float[1,2] c) => (y) { y = Concat<axis = 1>(c, x, c) }",
        0,
    ),
    ("split", "(float[1,4] x) => (y, z) { y, z = Split<axis = 1, num_outputs = 2>(x) }", 0),
    ("slice", "(float[1,5,4] x) => (y) { y = Slice(x, [0, 1], [1, 4]) }", 0),
    (
        "slice to the end",
        "(float[1,5] x) => (y) { y = Slice(x, [0], [9223372036854775807], [0]) }",
        0,
    ),
    (
        "slice in int32",
        """(float[1,5] x) => (y) {
            s = Constant<value = int32[1] {0}>() e = Constant<value = int32[1] {7}>()
            y = Slice(x, s, e) }""",
        0,
    ),
    ("slice backwards", "(float[1,5] x) => (y) { y = Slice(x, [-1], [-9], [-1], [-2]) }", 0),
    ("pad", "(float[1,3] x) => (y) { y = Pad(x, [0, 1, 0, 2]) }", 0),
    ("pad one axis", '(float[1,3] x) => (y) { y = Pad<mode = "edge">(x, [1, 2], , [-1]) }', 0),
    ("tile", "(float[1,3] x) => (y) { y = Tile(x, [1, 2]) }", 0),
    ("expand", "(float[1,3] x) => (y) { y = Expand(x, [2, 1, 3]) }", 1),
]
