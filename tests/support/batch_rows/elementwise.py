"""Rows of the batch table: operators that treat every element by itself."""

from __future__ import annotations

from support.batch_rows.by_name import by_name

FLOATS = "(float[1,3] x, float[3] w) => (y) { y = OP(x, w) }"

ROWS = [
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
