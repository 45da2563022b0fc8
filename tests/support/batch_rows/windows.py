"""Rows of the batch table: convolutions, pools, their kin."""

from __future__ import annotations

ROWS = [
    (
        "convolution",
        "(float[1,2,5,5] x, float[3,2,3,3] w, float[3] b) => (y) { y = Conv(x, w, b) }",
        0,
    ),
    ("transposed", "(float[1,2,4] x, float[2,3,2] w) => (y) { y = ConvTranspose(x, w) }", 0),
    (
        "pools",
        """(float[1,2,6,6] x) => (y) {
            a = MaxPool<kernel_shape = [2, 2]>(x) b = AveragePool<kernel_shape = [2, 2]>(a)
            c = LpPool<kernel_shape = [2, 2]>(b) d = GlobalMaxPool(a)
            y = GlobalAveragePool(c) }""",
        0,
    ),
    (
        "batch norm with stored statistics",
        """(float[1,2,3] x, float[2] s, float[2] b, float[2] m) => (y) {
            v = Exp(m) y = BatchNormalization(x, s, b, m, v) }""",
        0,
    ),
    (
        "instance norm",
        """(float[1,2,3] x, float[2] s, float[2] b) => (y) {
            y = InstanceNormalization(x, s, b) }""",
        0,
    ),
    (
        "group norm",
        """(float[1,4,3] x, float[4] s, float[4] b) => (float[1,4,3] y) {
            y = GroupNormalization<num_groups = 2>(x, s, b) }""",
        0,
    ),
    ("response norm", "(float[1,4,2,2] x) => (y) { y = LRN<size = 3>(x) }", 0),
    ("pooled norm", "(float[1,2,3] x) => (y) { y = GlobalLpPool(x) }", 0),
    ("spectrum", "(float[1,16,1] x) => (y) { y = STFT(x, #4, , #8) }", 0),
    ("integer convolution", "(uint8[1,1,3] x, uint8[1,1,2] w) => (y) { y = ConvInteger(x, w) }", 0),
    (
        "quantised convolution",
        """(uint8[1,1,3,3] x, uint8[1,1,2,2] w, uint8 z, float s) => (y) {
            e = Exp(s) y = QLinearConv(x, e, z, w, e, z, e, z) }""",
        0,
    ),
    (
        "depth and space",
        """(float[1,4,2,2] x) => (y) {
            a = DepthToSpace<blocksize = 2>(x) y = SpaceToDepth<blocksize = 4>(a) }""",
        0,
    ),
    ("columns to picture", "(float[1,4,9] x) => (y) { y = Col2Im(x, [4, 4], [2, 2]) }", 0),
    ("dropout", "(float[1,4] x, float r) => (y, m) { y, m = Dropout(x, r) }", 0),
    (
        "deformed",
        """(float[1,1,3,3] x, float[1,1,2,2] w, float[1,8,2,2] o) => (y) {
            y = DeformConv<kernel_shape = [2, 2]>(x, w, o) }""",
        0,
    ),
    ("shared grid", "(float[1,1,4,4] x, float[1,2,2,2] g) => (y) { y = GridSample(x, g) }", 0),
    ("shared picture", "(float[1,1,4,4] w, float[1,2,2,2] x) => (y) { y = GridSample(w, x) }", 0),
    ("affine grid", "(float[1,2,3] x) => (y) { y = AffineGrid(x, [1, 1, 2, 2]) }", 0),
]
