"""Operators without a slope: piecewise constant ones, and those whose outputs do not depend on
the values of a floating operand or are never floating. Zeros that would surprise have a warning.
"""

from __future__ import annotations

from portgrad.autodiff.registry import zero

# Floating outputs that jump between constants.
zero(
    *("Ceil", "Floor", "Round", "Sign", "Hardmax"),
    warning="it is piecewise constant, so its gradient is zero",
)
zero("BitCast", warning="it reads numbers as bits, so its gradient is zero")
zero(
    *("Bernoulli", "Multinomial"),
    warning="what it draws is piecewise constant in the probabilities, so its gradient is zero",
)

# Integers and booleans out of numbers.
zero("ArgMax", "ArgMin", "NonMaxSuppression", "NonZero")
zero("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "IsInf", "IsNaN")

# Integers, booleans and text all along.
zero("And", "Not", "Or", "Xor")
zero("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer")
zero("ImageDecoder")
zero("BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor")

# Only the shape, the dtype or the presence of an operand counts, if there is one at all.
zero("Shape", "Size", "EyeLike", "ConstantOfShape", "Constant")
zero("OptionalHasElement", "SequenceLength", "SequenceEmpty")
zero("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
zero("BlackmanWindow", "HammingWindow", "HannWindow")

zero(
    "MelWeightMatrix",
    warning="its band edges are rounded to whole bins, so its gradient is zero",
)
