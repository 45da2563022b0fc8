"""Rows of the batch table: recurrent operators and attention."""

from __future__ import annotations

ROWS = [
    (
        "lstm with a shared initial state",
        """(float[1,4,3] x, float[1,8,3] w, float[1,8,2] r, float[1,1,2] h, int32[1] n)
            => (y, l, c) {
            s = Transpose<perm = [1, 0, 2]>(x)
            y, l, c = LSTM<hidden_size = 2>(s, w, r, , n, h) }""",
        2,
    ),
    (
        "rnn with an example's initial state",
        """(float[1,4,3] x, float[1,2,3] w, float[1,2,2] r, float[1,1,2] x2) => (y) {
            s = Transpose<perm = [1, 0, 2]>(x) i = Transpose<perm = [1, 0, 2]>(x2)
            y, l = RNN<hidden_size = 2>(s, w, r, , , i) }""",
        2,
    ),
    (
        "attention",
        """(float[1,2,3,4] x, float[1,2,5,4] x2, float[1,2,5,4] v, float[3,5] m) => (y) {
            y = Attention(x, x2, v, m) }""",
        0,
        23,
    ),
    (
        "rotary embedding",
        """(float[1,2,3,4] x, float[8,2] c, float[8,2] s, int64[1,3] p) => (y) {
            y = RotaryEmbedding(x, c, s, p) }""",
        0,
        23,
    ),
    (
        "rotary embedding by tables",
        """(float[1,2,3,4] x, float[1,3,2] c, float[1,3,2] s) => (y) {
            y = RotaryEmbedding(x, c, s) }""",
        0,
        23,
    ),
    (
        "gru",
        """(float[1,4,3] x, float[1,6,3] w, float[1,6,2] r) => (y) {
            s = Transpose<perm = [1, 0, 2]>(x) h, y = GRU<hidden_size = 2>(s, w, r) }""",
        1,
    ),
]
