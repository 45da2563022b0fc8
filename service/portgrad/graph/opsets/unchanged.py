"""Which operators mean the same in an old opset as in the working one, written in the same way.

A net of such nodes alone is brought there by its number. onnx's converter would leave each as it
is, and takes 10 ms for the smallest net.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from portgrad.graph import walk

# Operators by the opset since which a node with one output is the same node in the working opset.
_SINCE: Mapping[int, str] = {
    7: "Abs Acos Add And Asin Atan AveragePool Ceil Concat Constant Conv ConvTranspose Cos "
    "DepthToSpace Div Elu Equal Exp Flatten Floor Gather Gemm GlobalAveragePool "
    "GlobalMaxPool Greater HardSigmoid Identity InstanceNormalization LeakyRelu Less Log "
    "LRN MatMul MaxPool Mul Neg Not Or Pow PRelu Reciprocal Relu Reshape Selu Shape "
    "Sigmoid Sin Softplus Softsign SpaceToDepth Sqrt Sub Tan Tanh Tile Transpose Xor",
    8: "Expand Max Mean Min Sum",
    9: "Acosh Asinh Atanh BatchNormalization Cast ConstantOfShape Cosh Erf Sign Sinh Where",
    10: "Slice",
    11: "Clip CumSum GatherElements GatherND Pad Range",
    13: "Dropout LogSoftmax ReduceSum Resize Softmax Squeeze Unsqueeze",
    14: "HardSwish Trilu",
    17: "LayerNormalization",
    18: "Mish ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare",
}
SINCE: Mapping[str, int] = {op: since for since, ops in _SINCE.items() for op in ops.split()}


def all_unchanged(model: onnx.ModelProto, version: int) -> bool:
    """Whether each node of a model without functions means the same in the working opset."""
    return all(
        len(node.output) == 1 and not node.domain and SINCE.get(node.op_type, 99) <= version
        for node in walk.all_nodes(model)
    )
