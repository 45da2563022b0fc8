"""Types and shapes of the runtime's own operators, where attributes or operands decide them."""

from __future__ import annotations

import onnx
import pytest

import portgrad

HEAD = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]> net '
_HASH = "{ y = com.microsoft.MurmurHash3<positive = 0>(x) }"
_PACKED = "com.microsoft.GatherPacked<K = 32, packed_type = 1"


@pytest.mark.parametrize(
    ("text", "dtype", "shape"),
    [
        ("(float[N, 3] x) => (uint32[N, 3] y) { y = com.microsoft.MurmurHash3(x) }", "uint32",
         ("N", 3)),
        ("(int32[N, 3] x) => (uint32[N, 3] y) { y = com.microsoft.MurmurHash3(x) }", "uint32",
         ("N", 3)),
        (f"(float[N, 3] x) => (int32[N, 3] y) {_HASH}", "int32", ("N", 3)),
        (f"(string[N, 3] x) => (int32[N, 3] y) {_HASH}", "int32", ("N", 3)),
        (f"(uint8[9, 40] d, int64[N] i) => (float[A, B] y) {{ y = {_PACKED}, output_dtype = 1>"
         "(d, i) }", "float32", ("N", 32)),
        (f"(uint8[9, 40] d, int64[N, 2] i) => (bfloat16[A, B, C] y) {{ y = {_PACKED}>(d, i) }}",
         "bfloat16", ("N", 2, 32)),
        ("(int16[3, 4] a, int16[4, 5] b) => (int32[A, B] y) {"
         " y = com.microsoft.MatMulInteger16(a, b) }", "int32", (3, 5)),
        ("(uint8[3, 4] a, float s, uint8 z, uint8[4, 5] b) => (float[A, B] y) {"
         " y = com.microsoft.QGemm(a, s, z, b, s, z) }", "float32", (3, 5)),
        ("(uint8[3, 4] a, float s, uint8 z, uint8[4, 5] b) => (uint8[A, B] y) {"
         " y = com.microsoft.QGemm(a, s, z, b, s, z, , s, z) }", "uint8", (3, 5)),
        ("(float[N, 3, 3] x) => (float[A, B, C] y) { y = com.microsoft.Inverse(x) }", "float32",
         ("N", 3, 3)),
        ("(float[N, 3] x, float[3] g) => (float[A, B] y) {"
         " y = SimplifiedLayerNormalization(x, g) }",
         "float32", ("N", 3)),
    ],
)  # fmt: skip
def test_output(text: str, dtype: str, shape: tuple[object, ...]) -> None:
    model = onnx.parser.parse_model(HEAD + text)
    [port] = portgrad.load(model.SerializeToString()).description.outputs
    assert (str(port.dtype), port.shape) == (dtype, shape)
