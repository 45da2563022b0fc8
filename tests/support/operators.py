"""The operators of ai.onnx whose outputs depend smoothly on some floating operand: 134.

Control flow, sequences, generators, quantised and random operators are not among them. Scatter and
Upsample are deprecated: normalising a net replaces them.
"""

from __future__ import annotations

from portgrad.autodiff.binding import schema_of
from portgrad.autodiff.registry import Rule, entries

DIFFERENTIABLE = tuple(
    """
    Abs Acos Acosh Add AffineGrid Asin Asinh Atan Atanh Attention AveragePool BatchNormalization
    Cast CastLike CausalConvWithState Celu CenterCropPad Clip Col2Im Compress Concat Conv
    ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv DepthToSpace Det Div Dropout Einsum Elu Erf
    Exp Expand Flatten GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool
    GlobalMaxPool GridSample GroupNormalization HardSigmoid HardSwish Identity
    InstanceNormalization LRN LSTM LayerNormalization LeakyRelu LinearAttention Log LogSoftmax
    LpNormalization LpPool MatMul Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization
    Min Mish Mod Mul Neg NegativeLogLikelihoodLoss OneHot PRelu Pad Pow RMSNormalization RNN Range
    Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign
    RotaryEmbedding STFT Scatter ScatterElements ScatterND Selu Shrink Sigmoid Sin Sinh Slice
    Softmax SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum SwiGLU
    Swish Tan Tanh TensorScatter ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Upsample
    Where
    """.split()
)
# Whose gradient is zero, or comes through a body, and of which ONNX has node cases between floats.
OTHERS = tuple("ArrayFeatureExtractor Binarizer Ceil Floor Hardmax Round Sign TreeEnsemble".split())
_SUCCESSORS = {"Scatter": "ScatterElements", "Upsample": "Resize"}
_NEWEST = 28


def covered(op: str) -> bool:
    """Whether an operator has a rule, or a function body in the standard in place of one."""
    op = _SUCCESSORS.get(op, op)
    known = entries().get(("", op))
    if known:
        return isinstance(known[0], Rule)
    schema = schema_of(op, _NEWEST)
    return bool(schema.has_function or schema.has_context_dependent_function)
