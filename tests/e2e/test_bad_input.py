"""What cannot be served, through the real application: what is said, and that nothing is lost.

Each row is a request and what its problem says: where, what was expected, what came, and what to
do next. After each, the store is as it was and a good request is answered as before.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from portgrad.api.problems import LONGEST
from support.formats import JSON, NPZ, SAFETENSORS, to_npz, to_safetensors
from support.http import AppClient

from .conftest import MIB


def net(body: str, opset: int = 21, domain: str = "") -> bytes:
    header = f'<ir_version: 10, opset_import: ["" : {opset}{domain}]> '
    return onnx.parser.parse_model(header + body).SerializeToString()


LAYERS = net("""
layers (float[N,2] input, int64[N] label) => (float[N,3] output, float[N,3] hidden)
<float[3,2] "layer1.weight" = {1,2,3,4,5,6}, float[3] "layer1.bias" = {-1,-2,-3}> {
  [layer1] hidden = Gemm<transB=1>(input, "layer1.weight", "layer1.bias")
  weight = Cast<to=1>(label)
  axis = Constant<value_ints=[1]>()
  column = Unsqueeze(weight, axis)
  output = Mul(hidden, column)
}""")
TWINS = net("""
twins (float[2] x) => (float[2] y) <float[2] "a.b" = {1,2}, float[2] "a/b" = {3,4}> {
  z = Mul(x, "a.b")
  y = Add(z, "a/b")
}""")
RULELESS = net("""
ruleless (float[2,2] x) => (float[2,2] y)
  <int64[2] axes = {0,1}, int32[1,1,2,2] mask = {1,1,1,1}> {
  before = Tanh(x)
  image = Unsqueeze(before, axes)
  [masked] pooled = com.microsoft.MaxpoolWithMask<kernel_shape = [1, 1]>(image, mask)
  between = Squeeze(pooled, axes)
  y = Tanh(between)
}""", domain=', "com.microsoft" : 1')  # fmt: skip
NAMES = ("layers", "twins", "ruleless")

X, LABEL = [[1, 2], [3, 4]], [1, 2]
DATA = {"input": X, "label": LABEL}
ARRAYS = {"input": np.array(X, np.float32), "label": np.array(LABEL)}


@dataclass(frozen=True)
class Row:
    """A request, and the fragments that the fields of its problem hold; None where left out."""

    path: str
    request: dict[str, Any]
    status: int
    code: str
    where: str | None = None
    expected: str | None = None
    found: str | None = None
    remedy: str = ""


def upload(content: bytes, *said: Any, query: str = "", **options: Any) -> Row:
    return Row("/nets" + query, {"content": content, **options}, *said)


def form(*parts: tuple[str, str, bytes]) -> Any:
    return [(name, (filename, content)) for name, filename, content in parts]


def call(fields: Any, *said: Any, on: str = "layers") -> Row:
    body = fields if isinstance(fields, str) else json.dumps({"data": DATA, **fields})
    request = {"content": body, "headers": {"Content-Type": JSON}}
    return Row(f"/nets/{on}/gradient", request, *said)


def data(value: Any, *said: Any) -> Row:
    return call({"data": value}, *said)


def body(fmt: str, content: bytes, *said: Any, query: str = "") -> Row:
    request = {"content": content, "headers": {"Content-Type": fmt}}
    return Row("/nets/layers/gradient" + query, request, *said)


def points_to(location: str) -> bytes:
    """A net whose weight lies at a location outside of its file."""
    model = onnx.ModelProto.FromString(
        net("g (float[2] x) => (float[2] y) <float[2] w = {1,2}> { y = Mul(x, w) }")
    )
    tensor = model.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return model.SerializeToString()


def beside(location: str, filename: str, *said: Any) -> Row:
    files = form(("model", "m.onnx", points_to(location)), ("external", filename, b"\0" * 8))
    return Row("/nets", {"files": files}, *said)


def npz_member(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("input.npy", content)
    return buffer.getvalue()


def header(text: str) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode()


def nested(levels: int, inside: str, left: str = "[", right: str = "]") -> str:
    return left * levels + inside + right * levels


def float32(shape: list[Any], raw: str = "") -> dict[str, Any]:
    return {"dtype": "float32", "shape": shape, "data": raw}


NO_PORT = "data for `input` and `label`"
LISTS_OR_PATHS = "a name, or a list of names and paths"
WRONG_TYPE = "set the Content-Type that it has"
OFFER_PORT = "Did you mean `input`?"

ROWS = {
    # Uploads.
    "no protobuf": upload(b"<!DOCTYPE html><p>Not found", 422, "not_onnx", None, "protobuf",
        "27 bytes that begin with b'<!DOCTYPE html><p>Not fo'", "Export the net to ONNX"),
    "nothing": upload(b"", 422, "empty_file", None, None, None, "Upload the ONNX file"),
    "truncated": upload(LAYERS[:-9], 422, "truncated", None, None, f"{len(LAYERS) - 9} bytes",
        "compare its size"),
    "unknown opset": upload(net("g (float[2] x) => (float[2] y) { y = Relu(x) }", 99), 422,
        "unknown_opset", "the model", "1 to", "99", "Export the net with an opset from 1 to"),
    "unknown domain": upload(
        net("g (float[2] x) => (float[2] y) { y = com.acme.Magic(x) }", 21, ', "com.acme" : 1'),
        422, "unknown_domain", "node `y` (Magic)", "ai.onnx", "com.acme.Magic", "as a function"),
    "unknown operator": upload(net("g (float[2] x) => (float[2] y) { [act] y = Reluu(x) }"), 422,
        "unknown_operator", "node `act` (Reluu)", None, "Reluu", "Check the operator's name"),
    "no outputs": upload(net("g (float[2] x) => () { y = Relu(x) }"), 422, "no_outputs", None,
        "at least one graph output", None, "Export the net again"),
    "external data outside": upload(points_to("../secret.bin"), 422, "external_data_outside",
        "tensor `w`", "a relative location", "`../secret.bin`", "in the same folder"),
    "external data at the root": upload(points_to("/etc/passwd"), 422, "external_data_outside",
        "tensor `w`", "a relative location", "`/etc/passwd`", "in the same folder"),
    "external data sent from outside": beside("../secret.bin", "../secret.bin", 422,
        "invalid_location", "external", "relative path", None, "exactly the location"),
    "external data left out": upload(points_to("w.bin"), 422, "external_data_missing",
        "tensor `w`", "called `w.bin`", "none", "Upload that file together with the model"),
    "external data misspelt": beside("w.bin", "W.bin", 422, "external_data_unused", "`W.bin`",
        "point to: `w.bin`", None, "Did you mean `w.bin`?"),
    "external data not needed": Row("/nets",
        {"files": form(("model", "m.onnx", LAYERS), ("external", "w.bin", b"\0"))}, 422,
        "external_data_unused", "`w.bin`", "no external data", None, "Leave these files out"),
    "name taken": upload(TWINS, 409, "name_taken", "layers", None, "the net ", "?replace=true",
        query="?name=layers"),
    "no name": upload(TWINS, 422, "invalid_name", "name", "letters, digits", None, "Choose a name",
        query="?name=a+b"),
    "two names": upload(TWINS, 422, "invalid_field", "name", "each query parameter once",
        "2 times", "Send the one", query="?name=a&name=b"),
    "misspelt query": upload(TWINS, 422, "unknown_field", "nmae", "name, replace", None,
        "Did you mean `name`?", query="?nmae=a"),
    "too large": upload(b"\0" * (MIB + 1), 413, "body_too_large", "body", f"at most {MIB}",
        f"{MIB + 1} bytes", "PORTGRAD_MAX_UPLOAD_BYTES"),
    "no such format": upload(LAYERS, 415, "unsupported_content_type", "Content-Type",
        "application/octet-stream", JSON, "application/octet-stream",
        headers={"Content-Type": JSON}),
    # Operators without a rule.
    "no rule": call({"data": [[1, 2], [3, 4]]}, 422, "unsupported_operator", "masked",
        "an operator with a derivative", "com.microsoft.MaxpoolWithMask", "before it",
        on="ruleless"),
    # Data.
    "wrong dtype": data({"input": float32([1, 2], "AACAPwAAAEA=") | {"dtype": "float16"},
        "label": [1]}, 400, "invalid_array", "input", "4 bytes for float16", "8 bytes", "Send"),
    "another dtype": data({"input": float32([1, 2], "AACAPwAAAEA="),
        "label": float32([1], "AACAPw==")}, 422, "wrong_dtype", "label", "int64", "float32",
        "Send the array as int64"),
    "fractions for integers": data({"input": X, "label": [1.5, 2]}, 422, "wrong_dtype", "label",
        "int64", "float64", "Send the array as int64"),
    "words for numbers": data({"input": [["a", "b"]], "label": [1]}, 422, "wrong_dtype", "input",
        "float32", "the string 'a'", "Send the array as float32"),
    "unknown dtype": data(float32([1]) | {"dtype": "float23"}, 422, "unknown_dtype", "data",
        "float32", "float23", "Did you mean `float32`"),
    "wrong rank": data({"input": [X], "label": LABEL}, 422, "wrong_shape", "input",
        "input (N, 2)", "input (1, 2, 2)", "Send the declared shape"),
    "wrong size": data({"input": [[1, 2, 3]], "label": [1]}, 422, "wrong_shape", "input",
        "input (N, 2)", "input (1, 3)", "Send the declared shape"),
    "sizes that differ": data({"input": X, "label": [1]}, 422, "wrong_shape", "input",
        "label (N)", "input (2, 2); label (1)", "Send the declared shape"),
    "ragged": data({"input": [[1, 2], [3]], "label": LABEL}, 422, "ragged_array", "input",
        "equal lengths", "differing lengths", "equally long"),
    "null in an array": data({"input": [[None, 2]], "label": [1]}, 422, "ragged_array", "input",
        "of numbers", "neither number nor string", '"NaN"'),
    "too large a number": data({"input": [[1e300, 0]], "label": [1]}, 422, "out_of_range", "input",
        "float32", None, "within the range"),
    "missing port": data({"input": X}, 422, "missing_port", "label", "`input` and `label`",
        "`input`", "Add `label`"),
    "no port": data(X, 422, "missing_port", "data", "`input` and `label`", "a bare array",
        "by the names of their ports"),
    "extra port": data({**DATA, "zebra": 1}, 422, "unknown_port", "zebra", NO_PORT, "`zebra`",
        "Leave `zebra` out"),
    "misspelt port": data({"imput": X, "label": LABEL}, 422, "unknown_port", "imput", NO_PORT,
        "`imput`", OFFER_PORT),
    "misspelt port in safetensors": body(SAFETENSORS,
        to_safetensors({"imput": ARRAYS["input"], "label": ARRAYS["label"]}), 422, "unknown_port",
        "imput", "input, label", None, OFFER_PORT),
    "parameter for a port": data({**DATA, "layer1.bias": [1, 2, 3]}, 422, "unknown_port",
        "layer1.bias", NO_PORT, "`layer1.bias`", "Leave `layer1.bias` out"),
    # Imposed gradients and `of`.
    "seed of another shape": call({"output_gradients": {"output": X}}, 422, "wrong_seed_shape",
        "output_gradients.output", "(2, 3)", "(2, 2)", "one number for each element"),
    "seed of another rank": call({"output_gradients": {"output": [[[1, 2, 3]]]}}, 422,
        "wrong_seed_shape", "output_gradients.output", "(2, 3)", "(1, 1, 3)", "one number"),
    "misspelt seed": call({"output_gradients": {"outptu": 1}}, 422, "unknown_name",
        "output_gradients.outptu", "a port, parameter or inner value", "`outptu`",
        "Did you mean `output`?"),
    "seed at an input": call({"output_gradients": {"input": 1}}, 422, "not_an_output",
        "output_gradients.input", "an output port or an inner value", "`input`",
        "`output` and `hidden`"),
    "of leaves a seed out": call({"of": ["hidden"], "output_gradients": {"output": 1}}, 422,
        "imposed_outside_of", "output_gradients.output", "to be named in `of`",
        "`of` names `hidden`", "Add `output` to `of`"),
    "empty of": call({"of": []}, 422, "empty_of", "of", "at least one", None, "Name one in `of`"),
    # Targets.
    "ambiguous path": call({"data": [1, 2], "wrt": [["a", "b"]]}, 422, "ambiguous_path", "wrt[0]",
        "means one tensor", "`a.b` and `a/b`", "by its full name", on="twins"),
    "integer target": call({"wrt": "label"}, 422, "no_gradient", "wrt", "a floating tensor",
        "integers (int64)", "The nearest values that have one: `weight`"),
    "misspelt target": call({"wrt": ["layer1.weigth"]}, 422, "unknown_name", "wrt[0]",
        "a port, parameter or inner value", "`layer1.weigth`", "Did you mean `layer1.weight`"),
    "misspelt operand": call({"wrt": [["layer1", "D"]]}, 422, "unknown_name", "wrt[0]",
        "a node and one of its operands", "['layer1', 'D']", "has `A`, `B`, `C` and `Y`"),
    "a path that is no list of its own": call({"wrt": ["layer1", "weight"]}, 422, "unknown_name",
        "wrt[0]", "a port, parameter or inner value", "`layer1`", "[['layer1', 'weight']]"),
    "group in a list": call({"wrt": ["parameters"]}, 422, "unknown_name", "wrt[0]",
        "a port, parameter or inner value", "`parameters`", 'give "parameters" alone'),
    "no target": call({"wrt": []}, 422, "empty_targets", "wrt", "at least one", None,
        "The nearest values that have one"),
    "number for a target": call({"wrt": 3}, 422, "invalid_field", "wrt", LISTS_OR_PATHS, "3",
        "Correct the field"),
    "number in a path": call({"of": [["layer1", 3]]}, 422, "invalid_field", "of", LISTS_OR_PATHS,
        "['layer1', 3]", "Correct the field"),
    "word for outputs": call({"outputs": "output"}, 422, "invalid_field", "outputs",
        "true, false, or a list", "'output'", "Correct the field"),
    # Bodies.
    "NaN": call('{"data": {"input": [[NaN, 1]], "label": [1]}}', 400, "invalid_json", "body", None,
        "NaN", '"NaN"'),
    "safetensors as JSON": body(JSON, to_safetensors(ARRAYS), 400, "invalid_json", "body", None,
        None, f"The body looks like {SAFETENSORS}: {WRONG_TYPE}"),
    "npz as JSON": body(JSON, to_npz(ARRAYS), 400, "invalid_json", "body", None, None,
        f"The body looks like {NPZ}: {WRONG_TYPE}"),
    "JSON as safetensors": body(SAFETENSORS, b' {"data": [1]}', 400, "invalid_safetensors", "body",
        None, "6 of 2477389231671114528 bytes of its header",
        f"The body looks like {JSON}: {WRONG_TYPE}"),
    "npz as safetensors": body(SAFETENSORS, to_npz(ARRAYS), 400, "invalid_safetensors", "body",
        None, "bytes of its header", f"The body looks like {NPZ}: {WRONG_TYPE}"),
    "JSON as npz": body(NPZ, b'{"data": [1]}', 400, "invalid_npz", "body", None, "not a zip",
        f"The body looks like {JSON}: {WRONG_TYPE}"),
    "safetensors as npz": body(NPZ, to_safetensors(ARRAYS), 400, "invalid_npz", "body", None,
        "not a zip", f"The body looks like {SAFETENSORS}: {WRONG_TYPE}"),
    "noise as npz": body(NPZ, b"\xff" * 99, 400, "invalid_npz", "body", None, "not a zip",
        "Send what numpy.savez wrote"),
    "pickled objects": body(NPZ, to_npz({"input": np.array([{}], object)}), 400, "pickled_objects",
        "input", None, None, "numeric dtype"),
    "two options": body(SAFETENSORS, to_safetensors(ARRAYS), 422, "invalid_field", "options",
        "once", "2 times", "Send the one", query="?options={}&options={}"),
    # Huge, deep and impossible.
    "deep lists": call('{"data": ' + nested(79, "1") + "}", 422, "missing_port", "data", None,
        "a bare array", "by the names"),
    "a deep array": call('{"data": {"label": [1], "input": ' + nested(78, "1") + "}}", 422,
        "ragged_array", "input", "nested lists", "more than 64 levels", "equally long"),
    "deep objects": call('{"data": ' + nested(79, "1", '{"a":', "}") + "}", 400, "invalid_array",
        "a", "nested lists", "a", "Send such as"),
    "deeper than may be": call('{"data": ' + nested(80, "1") + "}", 413, "json_too_deep",
        "body", "at most 80 levels", None, "nested lists of its own rank"),
    "objects deeper than may be": call('{"data": ' + nested(900, "1", '{"a":', "}") + "}", 413,
        "json_too_deep", "body", "at most 80 levels", None, "nested lists of its own rank"),
    "a deep target": call('{"data": [1], "wrt": ' + nested(79, "1") + "}", 422, "invalid_field",
        "wrt", LISTS_OR_PATHS, "[[", "Correct the field"),
    "a deep shape": call('{"data": {"dtype": "int8", "data": "", "shape": ' + nested(78, "1")
        + "}}", 400, "invalid_array", "data", "nested lists", "[[", "Send such as"),
    "deeper than JSON goes": call("[" * 100_000, 413, "json_too_deep", "body", None, None, "Send"),
    "too many elements": data({"input": float32([2**62]), "label": [1]}, 400, "invalid_array",
        "input", "18446744073709551616 bytes", "0 bytes", "every element once"),
    "sizes beyond counting": data({"input": float32([2**62, 0, 4]), "label": [1]}, 400,
        "invalid_array", "input", "multiply to at most 16777216", "[4611686018427387904, 0, 4]",
        "no more empty examples"),
    "a negative size": data({"input": float32([-1]), "label": [1]}, 400, "invalid_array", "input",
        "exactly dtype, shape and data", "[-1]", "Send such as"),
    "a giant header": body(SAFETENSORS, (2**62).to_bytes(8, "little") + b"{}", 400,
        "invalid_safetensors", "body", None, f"2 of {2**62} bytes", "Send the whole file"),
    "an overflowing header": body(SAFETENSORS,
        header('{"input":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}'),
        400, "invalid_safetensors", "body", None, f"has F32 [{2**62}, 4]", "Send the whole file"),
    "a bomb": body(NPZ, npz_member(b"\0" * (MIB + 1)), 413, "body_too_large", "body",
        f"at most {MIB} bytes", f"{MIB + 1} bytes", "PORTGRAD_MAX_BODY_BYTES"),
    "a body over the limit": body(JSON, b" " * (MIB + 1), 413, "body_too_large", "body",
        f"at most {MIB} bytes", f"{MIB + 1} bytes", "PORTGRAD_MAX_BODY_BYTES"),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def uploaded(http: AppClient) -> None:
    for name, model in zip(NAMES, (LAYERS, TWINS, RULELESS), strict=True):
        assert http.post(f"/nets?name={name}", content=model).status_code == 201


def kept(http: AppClient, folder: Path) -> Any:
    """What is stored, and the answer to a good request."""
    answer = http.post("/nets/layers/gradient", json={"data": DATA, "wrt": "all", "outputs": True})
    assert answer.status_code == 200, answer.text
    assert list((folder / "staging").iterdir()) == []
    return http.get("/nets").json(), answer.json()


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_bad_input_is_told_clearly_and_loses_nothing(
    http: AppClient, folder: Path, row: Row
) -> None:
    before = kept(http, folder)
    answer = http.post(row.path, **row.request)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (row.status, row.code), answer.text
    assert problem.get("where") == row.where
    assert row.remedy, "a row that asks for no remedy"
    for field in ("expected", "found", "remedy"):
        assert (getattr(row, field) or "") in problem.get(field, ""), answer.text
    for sentence in (problem["detail"], problem["remedy"]):
        assert sentence[0] in "'`" or not sentence[0].islower(), sentence
        assert sentence[-1] in ".?", sentence
    assert kept(http, folder) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"wrt": "n" * 100_000},
        {"wrt": [["n"] * 100_000]},
        {"n" * 100_000: 1},
        {"data": {"n" * 100_000: 1}},
        {"output_gradients": {"n" * 100_000: 1}},
    ],
)
def test_long_names_are_not_sent_back_whole(http: AppClient, fields: dict[str, Any]) -> None:
    answer = http.post("/nets/layers/gradient", json={"data": DATA, **fields})
    assert answer.status_code == 422
    texts = [text for text in answer.json().values() if isinstance(text, str)]
    assert max(map(len, texts)) <= LONGEST


def test_an_id_in_upper_case(http: AppClient) -> None:
    net_id = http.get("/nets/layers").json()["id"]
    problem = http.get(f"/nets/{net_id.upper()}").json()
    assert problem["code"] == "net_not_found"
    assert problem["remedy"] == "Write the id in lower case."


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=0", "limit=x", "limt=1"])
def test_queries_of_the_list(http: AppClient, query: str) -> None:
    name = query.partition("=")[0]
    problem = http.get(f"/nets?{query}").json()
    assert problem["code"] == ("unknown_field" if name == "limt" else "invalid_field")
    assert problem["where"] == name
    assert problem["expected"]
    assert (problem["remedy"] == "Did you mean `limit`?") == (name == "limt")
