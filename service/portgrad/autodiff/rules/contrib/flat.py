"""com.microsoft: what gives no floats, and what is refused."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.registry import refuse, shaped, zero
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas.contrib import DOMAIN

zero(
    *("BifurcationDetector", "DynamicTimeWarping", "GatherPacked", "GreedySearch", "MurmurHash3"),
    *("NGramHashMapping", "Tokenizer", "VarlenNGramHashMapping"),
    domain=DOMAIN,
)
refuse(
    *("BeamSearch", "Sampling", "WhisperBeamSearch"),
    domain=DOMAIN,
    because="it searches among words, which has no derivative; ask for that of the decoder's net",
)
refuse(
    "SparseToDenseMatMul",
    domain=DOMAIN,
    because="sparse operands are not built: write a dense product when exporting",
)
refuse(
    "MatMulFpQ4",
    domain=DOMAIN,
    because="its weights lie as one version of onnxruntime packs them: use MatMulNBits",
)
refuse(
    "MaxpoolWithMask",
    domain=DOMAIN,
    because="it is for the runtime's internal use: use MaxPool",
)
refuse(
    "AttnLSTM",
    domain=DOMAIN,
    because="not built: decompose it when exporting, into LSTM and products",
)


@shaped("MurmurHash3", domain=DOMAIN)
def murmur_hash3_shape(op: Op, x: Tensor, *, positive: int) -> Tensor:
    return op.Cast(x, to=ir.DataType.UINT32 if positive else ir.DataType.INT32)


@shaped("GatherPacked", domain=DOMAIN)
def gather_packed_shape(
    op: Op, data: Tensor, indices: Tensor, *, k: int, output_dtype: int
) -> Tensor:
    shape = op.Concat(op.shape(indices), op.ints(k), axis=0)
    return op.Cast(
        op.Expand(op.constant(np.zeros((), np.float32)), shape), to=ir.DataType(output_dtype)
    )
