"""Small nets with parameters: how each operator meets them. Ports called x… carry the batch.

A row is a title, the net, what is done one after another (in a Scan): the operator for which no
faster way is known, or the steps of a recurrence; or "". Then the opset where it is not 21.
"""

from __future__ import annotations

PRODUCTS = [
    ("rows times a matrix", "(float[N,3] x, float[3,4] w) => (y) { y = MatMul(x, w) }"),
    ("sequences times a matrix", "(float[N,5,3] x, float[3,4] w) => (y) { y = MatMul(x, w) }"),
    (
        "stacks of sequences times a matrix",
        "(float[N,2,5,3] x, float[3,4] w) => (y) { y = MatMul(x, w) }",
    ),
    (
        "a matrix times columns",
        "(float[N,3] x, float[4,3] w) => (y) { t = Transpose(x) y = MatMul(w, t) }",
    ),
    ("a matrix times stacks", "(float[N,2,3,5] x, float[4,3] w) => (y) { y = MatMul(w, x) }"),
    ("stacks times a stack", "(float[N,2,5,3] x, float[2,3,4] w) => (y) { y = MatMul(x, w) }"),
    (
        "stacks times a stack that broadcasts",
        "(float[N,2,5,3] x, float[1,3,4] w) => (y) { y = MatMul(x, w) }",
    ),
    ("rows times a vector", "(float[N,3] x, float[3] w) => (y) { y = MatMul(x, w) }"),
    ("stacks times a vector", "(float[N,2,3] x, float[3] w) => (y) { y = MatMul(x, w) }"),
    ("a vector times stacks", "(float[N,3,2] x, float[3] w) => (y) { y = MatMul(w, x) }"),
    (
        "the batch on the second axis",
        """(float[N,5,3] x, float[3,4] w, float[4] b) => (y) {
            t = Transpose<perm = [1, 0, 2]>(x) m = MatMul(t, w) y = Add(m, b) }""",
    ),
    (
        "Gemm with a row",
        "(float[N,3] x, float[3,4] w, float[4] b) => (y) { y = Gemm(x, w, b) }",
    ),
    (
        "Gemm with factors",
        """(float[N,3] x, float[4,3] w, float[1,4] b) => (y) {
            y = Gemm<alpha = 0.5, beta = 2.0, transB = 1>(x, w, b) }""",
    ),
    (
        "Gemm of columns",
        """(float[N,3] x, float[3,4] w, float[1,1] b) => (y) {
            t = Transpose(x) y = Gemm<transA = 1>(t, w, b) }""",
    ),
    (
        "Gemm of columns with factors",
        """(float[N,3] x, float[4,3] w, float b) => (y) {
            t = Transpose(x)
            y = Gemm<alpha = 2.0, beta = 0.5, transA = 1, transB = 1>(t, w, b) }""",
    ),
    (
        "Gemm to columns",
        """(float[N,3] x, float[4,3] w, float[4,1] b) => (y) {
            y = Gemm<transB = 1>(w, x, b) }""",
    ),
    (
        "Gemm to columns, turned",
        "(float[N,3] x, float[3,4] w) => (y) { y = Gemm<transA = 1, transB = 1>(w, x) }",
    ),
]

BROADCAST = [
    (
        f"{op} with {title}",
        f"(float[N,2,3] x, float[{shape}] p) => (y) {{ w = Exp(p) v = Exp(x) y = {op}(v, w) }}",
    )
    for op, title, shape in (
        ("Add", "a vector", "3"),
        ("Sub", "a row", "1,3"),
        ("Mul", "a column", "2,1"),
        ("Div", "all of an example", "1,2,3"),
        ("Pow", "a number", "1"),
        ("Mod<fmod = 1>", "a vector", "3"),
        ("Max", "a matrix", "2,3"),
        ("Min", "one of more rank", "1,1,1,3"),
        ("Sum", "a column of a matrix", "1,2,1"),
        ("Mean", "a vector", "3"),
        ("PRelu", "a vector", "3"),
    )
] + [
    ("a parameter less rows", "(float[N,2,3] x, float[3] w) => (y) { y = Sub(w, x) }"),
    ("a scalar", "(float[N,2,3] x, float w) => (y) { y = Mul(x, w) }"),
    (
        "chosen by an example",
        """(float[N,2,3] x, float[2,1] w, float[3] v) => (y) {
            c = Greater(x, w) y = Where(c, w, v) }""",
    ),
    (
        "chosen by all",
        """(float[N,2,3] x, float[3] w) => (y) {
            z = Constant<value_floats = [0.0, 0.5, -0.5]>() c = Greater(w, z)
            y = Where(c, x, w) }""",
    ),
    (
        "a token for each example",
        """(float[N,2,3] x, float[1,1,3] w) => (y) {
            s = Shape<start = 0, end = 1>(x) o = Concat<axis = 0>(s, [1, 3])
            t = Expand(w, o) y = Concat<axis = 1>(t, x) }""",
    ),
    (
        "a token for the one example",
        "(float[1,2,3] x, float[1,1,3] w) => (y) { y = Concat<axis = 1>(w, x) }",
    ),
]

WINDOWS = [
    (
        "convolution",
        "(float[N,2,5,5] x, float[3,2,3,3] w, float[3] b) => (y) { y = Conv(x, w, b) }",
    ),
    (
        "convolution of a row",
        """(float[N,4,9] x, float[6,2,3] w, float[6] b) => (y) {
            y = Conv<group = 2, strides = [2], dilations = [2], pads = [1, 2]>(x, w, b) }""",
    ),
    (
        "depthwise convolution",
        """(float[N,3,6,6] x, float[3,1,3,3] w) => (y) {
            y = Conv<group = 3, auto_pad = "SAME_UPPER", strides = [2, 2]>(x, w) }""",
    ),
    (
        "depthwise convolution of a large map",
        "(float[N,2,23,23] x, float[2,1,2,2] w) => (y) { y = Conv<group = 2>(x, w) }",
    ),
    (
        "convolution of a large map",
        "(float[N,16,22,22] x, float[2,16,2,2] w) => (y) { y = Conv(x, w) }",
    ),
    (
        "convolution of a volume",
        "(float[N,2,3,4,3] x, float[2,2,2,2,2] w) => (y) { y = Conv(x, w) }",
    ),
    (
        "transposed convolution",
        """(float[N,4,4,4] x, float[4,3,3,3] w, float[6] b) => (y) {
            y = ConvTranspose<group = 2, strides = [2, 2], pads = [1, 1, 0, 0]>(x, w, b) }""",
    ),
    (
        "deformed convolution",
        """(float[N,2,4,4] x, float[N,8,3,3] xo, float[3,2,2,2] w, float[3] b) => (y) {
            y = DeformConv(x, w, xo, b) }""",
        "DeformConv",
    ),
]

NORMS = [
    (
        "batch norm",
        """(float[N,2,3] x, float[2] s, float[2] b, float[2] m, float[2] l) => (y) {
            v = Exp(l) y = BatchNormalization(x, s, b, m, v) }""",
    ),
    (
        "instance norm",
        "(float[N,2,3] x, float[2] s, float[2] b) => (y) { y = InstanceNormalization(x, s, b) }",
    ),
    (
        "group norm",
        """(float[N,4,3] x, float[4] s, float[4] b) => (float[N,4,3] y) {
            y = GroupNormalization<num_groups = 2>(x, s, b) }""",
    ),
    (
        "layer norm",
        """(float[N,2,3,4] x, float[4] s, float[4] b) => (y) {
            y = LayerNormalization(x, s, b) }""",
    ),
    (
        "layer norm from an axis on",
        """(float[N,2,3,4] x, float[3,4] s, float[4] b) => (y) {
            y = LayerNormalization<axis = 2>(x, s, b) }""",
    ),
    (
        "layer norm of the batch on the second axis",
        """(float[N,2,4] x, float[4] s) => (y) {
            t = Transpose<perm = [1, 0, 2]>(x) y = LayerNormalization(t, s) }""",
    ),
    (
        "a layer norm that is written out",
        """(float[N,2,4] x, float[4] s, float[4] b) => (y) {
            m = ReduceMean(x, [-1]) d = Sub(x, m) q = Mul(d, d) v = ReduceMean(q, [-1])
            e = Constant<value_float = 0.00001>() w = Add(v, e) r = Sqrt(w) n = Div(d, r)
            t = Mul(n, s) y = Add(t, b) }""",
    ),
    (
        "norm by the root of the mean square",
        "(float[N,2,3] x, float[3] s) => (y) { y = RMSNormalization(x, s) }",
        "",
        23,
    ),
]

INDEXING = [
    ("embedding", "(int64[N,4] x, float[3,2] w) => (y) { y = Gather(w, x) }"),
    (
        "embedding along the second axis",
        "(int64[N,4] x, float[2,3,2] w) => (y) { y = Gather<axis = 1>(w, x) }",
    ),
    (
        "embedding from the end",
        "(int64[N,4] x, float[3,2] w) => (y) { m = Neg(x) y = Gather(w, m) }",
    ),
    (
        "embedding that is the head too",
        """(int64[N,4] x, float[3,2] w) => (y) {
            e = Gather(w, x) t = Transpose(w) y = MatMul(e, t) }""",
    ),
    (
        "tuples of indices",
        "(int64[N,4,2] x, float[3,3,2] w) => (y) { y = GatherND(w, x) }",
        "GatherND",
    ),
    (
        "values to choose",
        "(int64[N,4] x, float[2] w) => (y) { y = OneHot(x, #3, w) }",
        "OneHot",
    ),
    (
        "letters",
        """(float[N,2,3] x, float[3,4] w) => (y) {
            y = Einsum<equation = "bij,jk->bik">(x, w) }""",
    ),
    (
        "letters of three",
        """(float[N,2,3] x, float[3,4] w, float[2] v) => (y) {
            y = Einsum<equation = "bij, jk, i -> kb">(x, w, v) }""",
    ),
    (
        "letters that an ellipsis stands for, before the batch",
        """(float[N,3] x, float[3] p, float[3] q) => (y) {
            w = Einsum<equation = "...j,...j->...j">(p, q) y = Mul(x, w) }""",
        "Einsum",
    ),
    (
        "places of a sequence",
        """(float[N,L,3] x, float[5,3] w) => (y) {
            s = Shape<start = 1, end = 2>(x) p = Slice(w, [0], s, [0]) y = Add(x, p) }""",
        "Slice",
    ),
]

BEFORE = [
    (title, f"(float[N,4] x, {given}) => (y) {{ {nodes} y = MatMul(x, w) }}", *rest)
    for title, given, nodes, *rest in (
        ("a transposed weight", "float[3,4] p", "w = Transpose(p)"),
        (
            "a turned stack",
            "float[3,1,4] p",
            "t = Transpose<perm = [1, 2, 0]>(p) w = Squeeze(t, [0])",
        ),
        ("a reshaped weight", "float[6,2] p", "w = Reshape(p, [4, 3])"),
        ("a flattened weight", "float[4,3,1] p", "w = Flatten(p)"),
        ("a weight with an axis more", "float[4] p", "w = Unsqueeze(p, [1])"),
        ("a cast weight", "double[4,3] p", "w = Cast<to = 1>(p)"),
        ("a product of weights", "float[4,2] p, float[2,3] q", "w = MatMul(p, q)"),
        ("a weight times a vector", "float[4,3,2] p, float[2] q", "w = MatMul(p, q)", "MatMul"),
        ("a scaled weight", "float[4,3] p, float[1,3] q", "w = Mul(p, q)"),
        ("an exponent of a weight", "float[4,3] p", "w = Exp(p)"),
        ("a repeated weight", "float[1,3] p", "w = Expand(p, [4, 1])"),
        ("a masked weight", "float[4,3] p, float[4,3] q", "c = Greater(p, q) w = Where(c, p, q)"),
        ("a slice of a weight", "float[5,3] p", "w = Slice(p, [1], [5], [0])", "Slice"),
        (
            "weights side by side",
            "float[4,1] p, float[4,2] q",
            "w = Concat<axis = 1>(p, q)",
        ),
        (
            "a mean of weights",
            "float[4,3,2] p",
            "w = ReduceMean<keepdims = 0>(p, [2])",
            "ReduceMean",
        ),
        ("a normal weight", "float[4,3] p", "w = Softmax<axis = 0>(p)"),
        ("chosen rows of a weight", "float[3,3] p", "w = Gather(p, [0, 2, 1, 0])"),
        (
            "half of a weight",
            "float[8,3] p",
            "w, z = Split<num_outputs = 2, axis = 0>(p)",
            "Split",
        ),
    )
]

RECURRENT = [
    (
        "lstm",
        """(float[N,5,2] x, float[1,12,2] w, float[1,12,3] r, float[1,24] b) => (y) {
            t = Transpose<perm = [1, 0, 2]>(x) y = LSTM<hidden_size = 3>(t, w, r, b) }""",
        "its steps",
    ),
    (
        "lstm with peepholes, both ways, of which the last states are read",
        """(float[N,5,2] x, float[2,12,2] w, float[2,12,3] r, float[2,9] p) => (y, z) {
            t = Transpose<perm = [1, 0, 2]>(x)
            h, y, z = LSTM<hidden_size = 3, direction = "bidirectional">(t, w, r, , , , , p) }""",
        "its steps",
    ),
    (
        "gru both ways",
        """(float[N,5,2] x, float[2,9,2] w, float[2,9,3] r, float[2,18] b) => (y) {
            t = Transpose<perm = [1, 0, 2]>(x)
            y = GRU<hidden_size = 3, direction = "bidirectional", linear_before_reset = 1>
                (t, w, r, b) }""",
        "its steps",
    ),
    (
        "gru with a reset before the product, and lengths",
        """(float[N,5,2] x, int32[N] xl, float[1,9,2] w, float[1,9,3] r) => (y) {
            t = Transpose<perm = [1, 0, 2]>(x) o = Constant<value_ints = [1]>()
            c = Cast<to = 6>(o) l = Add(xl, c) y = GRU<hidden_size = 3>(t, w, r, , l) }""",
        "its steps",
    ),
    (
        "rnn backwards",
        """(float[N,5,2] x, float[1,3,2] w, float[1,3,3] r) => (h, y) {
            t = Transpose<perm = [1, 0, 2]>(x)
            h, y = RNN<hidden_size = 3, direction = "reverse">(t, w, r) }""",
        "its steps",
    ),
]

ROWS = [
    *PRODUCTS,
    *BROADCAST,
    *WINDOWS,
    *NORMS,
    *INDEXING,
    *BEFORE,
    *RECURRENT,
]
