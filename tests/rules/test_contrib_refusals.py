"""Uses of onnxruntime's own operators that have no gradient say why, and mostly what to do."""

from __future__ import annotations

import onnx
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.errors import Unsupported
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

HEAD = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]> net '
_M = "com.microsoft"
_WEIGHT = "uint8[4, 2, 8] b, float[4, 2] s"
_BITS = "K = 32, N = 4, block_size = 16"
_EXPERTS = "float[3, 4] p, float[4, 5, 8] w1, float[4, 8, 5] w2"
_CODED = "float[3, 4] p, uint8[4, 16, 8] w1, float[4, 16] s1, uint8[4, 16, 8] w2, float[4, 16] s2"
_HEADS = "float[2, 3, 2, 4] k, float[2, 3, 2, 4] v"

# By what is refused: the shape of x, other operands, the node that reads them, words of the reason.
USES = {
    "prepacked": ("3, 32", _WEIGHT,
                  f"MatMulNBits<{_BITS}, bits = 4, weight_prepacked = 1>(x, b, s)",
                  "without prepacking"),
    "g_idx of 8 bits": ("3, 32", "uint8[4, 2, 16] b, float[4, 2] s, int32[32] g",
                        f"MatMulNBits<{_BITS}, bits = 8>(x, b, s, , g)", "without g_idx"),
    "g_idx and zero points": ("3, 32", f"{_WEIGHT}, uint8[4, 1] z, int32[32] g",
                              f"MatMulNBits<{_BITS}, bits = 4>(x, b, s, z, g)", "without g_idx"),
    "transB": ("3, 4", "uint8[64] b, float[8] s",
               f"MatMulBnb4<{_BITS}, quant_type = 1, transB = 0>(x, b, s)", "transB = 1"),
    "projected gate": ("2, 3", "float[2, 3] z, float[2, 5] g, float[5, 1] w",
                       "GatedAdd(x, z, g, w)", "gate_weight"),
    "activation": ("3, 4", "float[4, 5] b", 'FusedGemm<activation = "Swish">(x, b)', "'Swish'"),
    "activation of a convolution": ("1, 2, 5, 5", "float[3, 2, 3, 3] w",
                                    'FusedConv<activation = "Gelu">(x, w)', "'Gelu'"),
    "metric": ("3, 4", "float[2, 4] b", 'CDist<metric = "cosine">(x, b)', "'cosine'"),
    "sparse mixer": ("3, 8", _EXPERTS, "MoE<use_sparse_mixer = 1>(x, p, w1, , w2)",
                     "use_sparse_mixer"),
    "separate gates": ("3, 8", f"{_EXPERTS}, float[4, 5, 8] w3", "MoE(x, p, w1, , w2, , w3)",
                       "FC3"),
    "concatenated gates": ("3, 8", "float[3, 4] p, float[4, 10, 8] w1, float[4, 8, 5] w2",
                           'MoE<activation_type = "swiglu", swiglu_fusion = 2>(x, p, w1, , w2)',
                           "swiglu_fusion 2"),
    "weights of floats": ("3, 16", _CODED, 'QMoE<quant_type = "fp8">(x, p, w1, s1, , w2, s2)',
                          "to integers"),
    "three bits": ("3, 16", _CODED, "QMoE<expert_weight_bits = 3>(x, p, w1, s1, , w2, s2)",
                   "2, 4 or 8 bits"),
    "window": ("2, 3, 6", "float[3, 1, 4] w, float[2, 2, 3, 3] p",
               "CausalConvWithState<state_window = 2>(x, w, , p)", "window"),
    "window of attention": ("2, 3, 8", "float[2, 3, 8] k, float[2, 3, 8] v",
                            "LinearAttention<q_num_heads = 2, kv_num_heads = 2, state_window = 2,"
                            ' update_rule = "linear">(x, k, v)', "window"),
    "packed sequences": ("5, 2, 4", "float[5, 2, 4] k, float[5, 2, 4] v, int32[3] n",
                         'GatedDeltaNet<update_rule = "linear">(x, k, v, n)', "cu_seqlens"),
    "gate without a_log": ("2, 3, 2, 4", f"{_HEADS}, float[2, 3, 2] d, float[2, 3, 2] e",
                           'GatedDeltaNet<gate_activation = "softplus">(x, k, v, , d, e)', "a_log"),
    "padding of the output": ("1, 2, 4, 4", "float[2, 3, 3, 3] w, int64[4] p",
                              'ConvTransposeWithDynamicPads<auto_pad = "SAME_UPPER">(x, w, p)',
                              "ConvTranspose instead"),
    "masked pool": ("1, 1, 4, 4", "int32[1, 1, 4, 4] m",
                    "MaxpoolWithMask<kernel_shape = [2, 2]>(x, m)", "use MaxPool"),
    "blocks of bytes": ("2, 32", "uint8[64] b, int64[2] n", "MatMulFpQ4(x, b, n)", "MatMulNBits"),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
def test_use(name: str) -> None:
    shape, operands, node, reason = USES[name]
    states = ", t" if node.startswith(("Causal", "Linear")) else ""
    body = f"[it] r{states} = {_M}.{node} y = ReduceSum(r)"
    text = f"(float[{shape}] x, {operands}) => (float y) {{ {body} }}"
    net = load(NetFiles(onnx.parser.parse_model(HEAD + text).SerializeToString()))
    with pytest.raises(Unsupported) as caught:
        gradient_graph(net, wrt=["x"], of=["y"])
    assert reason in str(caught.value)
    assert caught.value.where == "it"
