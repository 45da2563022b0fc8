"""Nets whose batch size is open: which of them keep examples apart. Ports: see `batch_rows`."""

from __future__ import annotations

# Rows that are for a fixed 1 alone: where the size is open, a 1 that the net writes is no batch,
# and what is shared is not repeated.
CLOSED = {
    "a loss with a shared label",
    "affine grid",
    "attention",
    "behind the batch",
    "by element",
    "concat with a shared token",
    "deformed",
    "features side by side",
    "heads in the place of examples",
    "literal",
    "lstm with a shared initial state",
    "pushed past an axis and back",
    "resize to sizes",
    "reversed sequence",
    "rotary embedding",
    "rotary embedding by tables",
    "rows of all sequences",
    "scatter",
    "shared grid",
    "shared picture",
    "slice",
    "slice in int32",
    "the same token twice",
}
# Nets whose batch size is open, and which of their ports have it.
OPEN = [
    (
        "heads in the place of examples",
        """(float[N,3,4] x) => (y) {
            n_s = Shape<start = 0, end = 1>(x) n_h = Mul(n_s, [2])
            n_t = Concat<axis = 0>([3], n_h, [2]) t = Transpose<perm = [1, 0, 2]>(x)
            h = Reshape(t, n_t) q = Transpose<perm = [1, 0, 2]>(h)
            k = Transpose<perm = [1, 2, 0]>(h) s = MatMul(q, k) a = Softmax(s) o = MatMul(a, q)
            b = Transpose<perm = [1, 0, 2]>(o) f = Reshape(b, [-1, 4]) g = Relu(f)
            n_b = Concat<axis = 0>([3], n_s, [4]) y = Reshape(g, n_b) }""",
        True,
    ),
    (
        "a port of examples by examples",
        "(float[N,3] x, float[N,N] x2) => (y) { y = Relu(x) }",
        False,
    ),
    ("a shared port of the batch size", "(float[N,3] x, float[N] c) => (y) { y = Relu(x) }", False),
    ("a number of examples that is fixed", "(float[2,3] x) => (y) { y = Relu(x) }", False),
    ("a scalar", "(float x) => (y) { y = Relu(x) }", False),
    ("ports of two symbols", "(float[N,3] x, float[M,3] x2) => (y) { y = Add(x, x2) }", True),
    ("a fixed and an open port", "(float[N,3] x, float[1,3] x2) => (y) { y = Add(x, x2) }", False),
    (
        "examples side by side",
        "(float[N,3] x) => (y) { r = Reshape(x, [1, -1]) y = Relu(r) }",
        True,
    ),
    (
        "examples side by side that meet",
        "(float[N,3] x) => (y) { r = Reshape(x, [1, -1]) y = Softmax(r) }",
        False,
    ),
    (
        "the first example of all",
        "(float[N,3] x) => (y) { f = Slice(x, [0], [1], [0]) y = Add(x, f) }",
        False,
    ),
    (
        "divided by the number of examples",
        """(float[N,3] x) => (y) {
            s = Shape<start = 0, end = 1>(x) n = Cast<to = 1>(s) y = Div(x, n) }""",
        False,
    ),
    (
        "a mask that is picked by the number of each example",
        """(int64[N,L] x) => (y) {
            n_s = Shape(x) n_g = Gather(n_s, [0]) n_n = Squeeze(n_g)
            l = Gather(n_s, [1]) n_l = Squeeze(l)
            z = Constant<value_int = 0>() o = Constant<value_int = 1>()
            n_i = Range(z, n_n, o) n_j = Unsqueeze(n_i, [1]) k = Range(z, n_l, o)
            n_m = Max(n_j, k) n_2 = Shape(n_m) n_e = Expand(n_j, n_2) e = Expand(k, n_2)
            n_u = Unsqueeze(n_e, [-1]) v = Unsqueeze(e, [-1]) n_t = Concat<axis = -1>(n_u, v)
            y = GatherND(x, n_t) }""",
        True,
    ),
    (
        "a mask that is picked by the number after others",
        """(int64[N,L] x) => (y) {
            n_s = Shape(x) n_g = Gather(n_s, [0]) n_n = Squeeze(n_g)
            l = Gather(n_s, [1]) n_l = Squeeze(l)
            z = Constant<value_int = 0>() o = Constant<value_int = 1>()
            n_i = Range(z, n_n, o) n_j = Unsqueeze(n_i, [1]) k = Range(z, n_l, o)
            n_m = Max(n_j, k) n_2 = Shape(n_m) n_e = Expand(n_j, n_2) e = Expand(k, n_2)
            n_u = Unsqueeze(n_e, [-1]) v = Unsqueeze(e, [-1]) n_t = Concat<axis = -1>(v, n_u)
            y = GatherND(x, n_t) }""",
        False,
    ),
    (
        "the number of each example as its data",
        """(int64[N,L] x) => (y) {
            n_s = Shape(x) n_g = Gather(n_s, [0]) n_n = Squeeze(n_g)
            l = Gather(n_s, [1]) n_l = Squeeze(l)
            z = Constant<value_int = 0>() o = Constant<value_int = 1>()
            n_i = Range(z, n_n, o) n_j = Unsqueeze(n_i, [1]) k = Range(z, n_l, o)
            n_m = Add(n_j, k) y = Add(x, n_m) }""",
        False,
    ),
    (
        "every second number",
        """(int64[N,L] x) => (y) {
            n_s = Shape(x) n_g = Gather(n_s, [0]) n_n = Squeeze(n_g) z = Constant<value_int = 0>()
            w = Constant<value_int = 2>() n_i = Range(z, n_n, w) n_t = Unsqueeze(n_i, [1])
            y = GatherND(x, n_t) }""",
        False,
    ),
]
