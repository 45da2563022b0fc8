"""Rows of the batch table: the same elements under another shape."""

from __future__ import annotations

ROWS = [
    ("flatten", "(float[1,2,3] x) => (y) { y = Flatten(x) }", 0),
    ("flatten at 0", "(float[1,1,1] x) => (y) { y = Flatten<axis = 0>(x) }", 1),
    ("flatten behind", "(float[1,3] x) => (y) { t = Transpose(x) y = Flatten(t) }", 1),
    ("literal", "(float[1,2,3] x) => (y) { y = Reshape(x, [1, 6]) }", 0),
    ("literal and -1", "(float[1,2,3] x) => (y) { y = Reshape(x, [1, -1]) }", 0),
    ("-1 for the batch", "(float[1,6] x) => (y) { y = Reshape(x, [-1, 2, 3]) }", 0),
    ("0", "(float[1,2,3] x) => (y) { y = Reshape(x, [0, 0, 3, 1]) }", 0),
    (
        "behind the batch",
        """(float[1,3,4] x) => (y) {
            t = Transpose<perm = [1, 0, 2]>(x) y = Reshape(t, [3, 1, 2, 2]) }""",
        1,
    ),
    ("a symbolic length", '(float[1,"L",4] x) => (y) { y = Reshape(x, [1, -1, 2, 2]) }', 0),
    ("a symbolic length kept", '(float[1,"L",4] x) => (y) { y = Reshape(x, [0, 0, 2, 2]) }', 0),
    ("unsqueeze", "(float[1,3] x) => (y) { y = Unsqueeze(x, [0, -1]) }", 1),
    ("squeeze", "(float[1,3,1] x) => (y) { t = Transpose(x) y = Squeeze(t, [0]) }", 1),
]
