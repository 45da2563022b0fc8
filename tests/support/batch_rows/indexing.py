"""Rows of the batch table: picking and placing by index."""

from __future__ import annotations

ROWS = [
    ("embedding", "(int64[1,3] x, float[5,4] w) => (y) { y = Gather(w, x) }", 0),
    (
        "embedding on axis 1",
        "(int64[1,3] x, float[4,5] w) => (y) { y = Gather<axis = 1>(w, x) }",
        1,
    ),
    ("a token", "(float[1,3,4] x) => (y) { y = Gather<axis = 1>(x, #0) }", 0),
    (
        "before the batch axis",
        "(float[1,3] x, int64[2,2] i) => (y) { t = Transpose(x) y = Gather(t, i) }",
        2,
    ),
    ("by element", "(float[1,5] x, int64[1,2] i) => (y) { y = GatherElements<axis = 1>(x, i) }", 0),
    (
        "scatter",
        """(float[1,5] x, int64[1,1] i, float[1,1] u) => (y) {
            y = ScatterElements<axis = 1>(x, i, u) }""",
        0,
    ),
    ("gather-nd of shared", "(int64[1,2,1] x, float[4,3] w) => (y) { y = GatherND(w, x) }", 0),
    (
        "gather-nd",
        "(float[1,4] x, int64[1,2,1] x2) => (y) { y = GatherND<batch_dims = 1>(x, x2) }",
        0,
    ),
    ("one-hot", "(int64[1,3] x, float[2] v) => (y) { y = OneHot<axis = 0>(x, #4, v) }", 1),
    (
        "reversed sequence",
        """(float[1,3,4] x) => (y) {
            y = ReverseSequence<batch_axis = 0, time_axis = 1>(x, [2]) }""",
        0,
    ),
    (
        "resize by scales",
        """(float[1,2,3,3] x) => (y) {
            y = Resize<mode = "linear">(x, , [1.0, 1.0, 2.0, 2.0]) }""",
        0,
    ),
    ("resize to sizes", "(float[1,2,3,3] x) => (y) { y = Resize(x, , , [1, 2, 5, 4]) }", 0),
]
