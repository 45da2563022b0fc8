"""Rows of the batch table: reductions, norms, sorts."""

from __future__ import annotations

from support.batch_rows.by_name import by_name

ROWS = [
    ("softmax", "(float[1,3,4] x) => (y) { y = Softmax<axis = 1>(x) }", 0),
    ("log-softmax", "(float[1,4] x) => (y) { y = LogSoftmax(x) }", 0),
    ("hardmax", "(float[1,4] x) => (y) { y = Hardmax(x) }", 0),
    ("lp norm", "(float[1,4] x) => (y) { y = LpNormalization<axis = 1>(x) }", 0),
    ("cumsum", "(float[1,4] x) => (y) { y = CumSum(x, #-1) }", 0),
    ("topk", "(float[1,5] x) => (y, i) { y, i = TopK(x, [2]) }", 0),
    (
        "layer norm",
        """(float[1,3,4] x, float[4] s, float[4] b) => (y) {
            y, m, v = LayerNormalization(x, s, b) }""",
        0,
    ),
    (
        "mean and variance",
        "(float[1,3,4] x) => (y) { y = MeanVarianceNormalization<axes=[2]>(x) }",
        0,
    ),
    ("reduction", "(float[1,3,4] x) => (y) { y = ReduceMean(x, [1]) }", 0),
    (
        "reduction before the batch axis",
        """(float[1,3,4] x) => (y) {
            t = Transpose<perm = [1, 0, 2]>(x) y = ReduceMax<keepdims = 0>(t, [0, -1]) }""",
        0,
    ),
    (
        "reduction of nothing",
        "(float[1,3] x) => (y) { y = ReduceSum<noop_with_empty_axes=1>(x) }",
        0,
    ),
    *by_name(
        "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMin ReduceProd ReduceSumSquare",
        "(float[1,3,4] x) => (y) { y = OP<keepdims = 0>(x, [-1, 1]) }",
    ),
    ("argmin", "(float[1,4] x) => (y) { y = ArgMin<axis = 1>(x) }", 0),
    ("rms norm", "(float[1,3,4] x, float[4] s) => (y) { y = RMSNormalization(x, s) }", 0, 23),
    ("cumprod", "(float[1,4] x) => (y) { y = CumProd(x, #-1) }", 0, 26),
    ("argmax", "(float[1,4] x) => (y) { y = ArgMax<axis = 1, keepdims = 0>(x) }", 0),
    ("fourier", "(float[1,8,1] x) => (y) { y = DFT(x, #8) }", 0),
    ("triangle", "(float[1,4,4] x) => (y) { y = Trilu(x) }", 0),
    ("determinant", "(float[1,3,3] x) => (y) { y = Det(x) }", 0),
    (
        "a loss for each",
        """(float[1,5] x, int64[1] x2) => (y, p) {
            y, p = SoftmaxCrossEntropyLoss<reduction = "none">(x, x2) }""",
        0,
    ),
    (
        "a loss with a shared label",
        """(float[1,5] x, int64[1] t) => (y) {
            y = NegativeLogLikelihoodLoss<reduction = "none">(x, t) }""",
        0,
    ),
]
