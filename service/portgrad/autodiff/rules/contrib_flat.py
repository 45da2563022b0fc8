"""com.microsoft: what gives no floats, and what is refused."""

from __future__ import annotations

from portgrad.autodiff.registry import refuse, zero

_DOMAIN = "com.microsoft"

zero(
    *("BifurcationDetector", "DynamicTimeWarping", "GatherPacked", "GreedySearch", "MurmurHash3"),
    *("NGramHashMapping", "Tokenizer", "VarlenNGramHashMapping"),
    domain=_DOMAIN,
)
refuse(
    *("BeamSearch", "Sampling", "WhisperBeamSearch"),
    domain=_DOMAIN,
    because="it searches among words, which has no derivative; ask for that of the decoder's net",
)
refuse(
    "SparseToDenseMatMul",
    domain=_DOMAIN,
    because="sparse operands are not built: write a dense product when exporting",
)
refuse(
    "MatMulFpQ4",
    domain=_DOMAIN,
    because="its weights lie as one version of onnxruntime packs them: use MatMulNBits",
)
refuse(
    "MaxpoolWithMask",
    domain=_DOMAIN,
    because="it is for the runtime's internal use: use MaxPool",
)
refuse(
    "AttnLSTM",
    domain=_DOMAIN,
    because="not built: decompose it when exporting, into LSTM and products",
)
