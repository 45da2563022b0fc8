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
    (
        "rows of all sequences",
        """(float[1,2,3] x, float[3,4] w, float[4] b) => (y) {
            r = Reshape(x, [2, 3]) m = Gemm(r, w, b) y = Reshape(m, [1, 2, 4]) }""",
        0,
    ),
    (
        "heads in the place of examples",
        """(float[1,3,4] x) => (y) {
            t = Transpose<perm = [1, 0, 2]>(x) h = Reshape(t, [3, 2, 2])
            q = Transpose<perm = [1, 0, 2]>(h) k = Transpose<perm = [1, 2, 0]>(h)
            s = MatMul(q, k) a = Softmax(s) o = MatMul(a, q) b = Transpose<perm = [1, 0, 2]>(o)
            f = Reshape(b, [3, 4]) g = Relu(f) y = Reshape(g, [3, 1, 4]) }""",
        1,
    ),
    (
        "pushed past an axis and back",
        """(float[1,3] x) => (y) {
            t = Reshape(x, [3, 1]) u = Unsqueeze(t, [0]) y = Reshape(u, [1, 3]) }""",
        0,
    ),
    (
        "rows of sequences of an open length",
        """(float[1,L,3] x, float[3,3] w) => (y) {
            r = Reshape(x, [-1, 3]) m = MatMul(r, w) n_s = Shape(x) y = Reshape(m, n_s) }""",
        0,
    ),
]
