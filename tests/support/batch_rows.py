"""Small nets that can run as one batch, at least one for each operator of the table.

Ports named x… get the batch, all others are shared by the examples. A row ends with the axis on
which `y` carries the batch, and the opset where it is not 21.
"""

from __future__ import annotations

from support.batch_rows_classical import CLASSICAL


def by_name(ops: str, text: str) -> list[tuple[str, str, int]]:
    """A row for each operator, with its name in the place of OP."""
    return [(op, text.replace("OP", op), 0) for op in ops.split()]


FLOATS = "(float[1,3] x, float[3] w) => (y) { y = OP(x, w) }"

ELEMENTWISE = [
    ("unary", "(float[1,4] x) => (y) { a = Relu(x) y = Gelu(a) }", 0),
    ("cast", "(float[1,4] x) => (y) { y = Cast<to = 11>(x) }", 0),
    ("cast like", "(float[1,4] x, double[2] t) => (y) { y = CastLike(x, t) }", 0),
    ("clip", "(float[1,4] x, float lo, float hi) => (y) { y = Clip(x, lo, hi) }", 0),
    ("shared operand", "(float[1,4] x, float[4] w) => (y) { y = Add(w, x) }", 0),
    ("shared leading 1", "(float[1,3,4] x, float[1,3,1] w) => (y) { y = Mul(x, w) }", 0),
    ("shared of higher rank", "(float[1,4] x, float[3,1,4] w) => (y) { y = Mul(x, w) }", 1),
    ("two that carry it", "(float[1,3] x, float[1,1] x2) => (y) { y = Sub(x, x2) }", 0),
    ("variadic", "(float[1,3] x, float[1,3] x2, float[3] w) => (y) { y = Max(x, w, x2) }", 0),
    ("prelu", "(float[1,3,2] x, float[3,1] s) => (y) { y = PRelu(x, s) }", 0),
    ("where", "(bool[1,3] x, float[1,3] w, float v) => (y) { y = Where(x, w, v) }", 0),
    (
        "quantise",
        "(float[1,3] x, float a) => (y) { s = Exp(a) y = QuantizeLinear(x, s) }",
        0,
    ),
    (
        "dequantise by channel",
        "(int8[1,3,2] x, float[3] s) => (y) { y = DequantizeLinear<axis = 1>(x, s) }",
        0,
    ),
    *by_name(
        "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Floor HardSigmoid "
        "HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Reciprocal Round Selu Shrink "
        "Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan Tanh ThresholdedRelu",
        "(float[1,3] x) => (y) { y = OP(x) }",
    ),
    *by_name("Greater GreaterOrEqual Less LessOrEqual Mean Min Pow Sum", FLOATS),
    *by_name("BitwiseAnd BitwiseOr BitwiseXor Equal", FLOATS.replace("float", "int64")),
    *by_name("And Or Xor", FLOATS.replace("float", "bool")),
    ("mod", "(float[1,3] x, float[3] w) => (y) { y = Mod<fmod = 1>(x, w) }", 0),
    ("not", "(bool[1,3] x) => (y) { y = Not(x) }", 0),
    ("bitwise not", "(int64[1,3] x) => (y) { y = BitwiseNot(x) }", 0),
    (
        "bit shift",
        '(uint8[1,3] x, uint8[3] w) => (y) { y = BitShift<direction = "LEFT">(x, w) }',
        0,
    ),
    ("swish", "(float[1,3] x) => (y) { y = Swish(x) }", 0, 24),
]

ALONG = [
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

WINDOWS = [
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

PRODUCTS = [
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

MOVES = [
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

RESHAPES = [
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

INDICES = [
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

SEQUENCES = [
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

# Shape arithmetic of exporters, with the batch size among the sizes.
SIZES = [
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

ACCEPTED = [
    *ELEMENTWISE, *ALONG, *WINDOWS, *PRODUCTS, *MOVES, *RESHAPES, *INDICES, *SEQUENCES, *SIZES,
    *CLASSICAL,
]  # fmt: skip
