"""External data come from the uploaded files alone, mapped and not copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from portgrad.errors import InvalidNet
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

LARGE = np.arange(2000, dtype=np.float32)
Entries = dict[str, Any]


def external(
    name: str, dims: list[int], dtype: int = TensorProto.FLOAT, **entries: Any
) -> TensorProto:
    tensor = TensorProto(name=name, data_type=dtype, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def net(*weights: TensorProto, size: int = 2000, nodes: str = "y = Mul(x, w)") -> bytes:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> net '
        f"(float[{size}] x) => (float[{size}] y) {{ {nodes} }}"
    )
    proto.graph.initializer.extend(weights)
    return proto.SerializeToString()


def refusal(model: bytes, files: dict[str, bytes | Path] | None = None) -> InvalidNet:
    with pytest.raises(InvalidNet) as caught:
        load(NetFiles(model, files or {}))
    assert caught.value.remedy
    return caught.value


def weight(model: ir.Model, name: str = "w") -> np.ndarray[Any, Any]:
    tensor = model.graph.initializers[name].const_value
    assert tensor is not None
    return tensor.numpy()


OUTSIDE = [
    "/etc/passwd", "../w.bin", "a/../../w.bin", "..\\w.bin", "C:\\w.bin", "C:w.bin", "\\\\host\\w",
    "\\w.bin", "", "..",
]  # fmt: skip


@pytest.mark.parametrize("location", OUTSIDE)
def test_a_location_outside_of_the_upload(location: str) -> None:
    tensor = external("w", [2000], location=location)
    files = {location: LARGE.tobytes()}  # even if such a file was uploaded
    error = refusal(net(tensor), files)
    assert error.code == "external_data_outside"
    assert error.where == "tensor `w`"
    assert error.found == f"`{location}`"


def test_a_file_that_was_not_uploaded_is_not_looked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.bin").write_bytes(LARGE.tobytes())
    error = refusal(net(external("w", [2000], location="w.bin")), {})
    assert error.code == "external_data_missing"
    assert (error.where, error.expected) == ("tensor `w`", "an external-data file called `w.bin`")


def test_a_file_that_the_model_never_mentions() -> None:
    tensor = external("w", [2000], location="w.bin")
    error = refusal(net(tensor), {"w.bin": LARGE.tobytes(), "v.bin": b"1"})
    assert (error.code, error.where) == ("external_data_unused", "`v.bin`")


MISFITS: list[tuple[Entries, list[int], int]] = [
    ({"offset": 1}, [2000], TensorProto.FLOAT),
    ({"length": 4}, [2000], TensorProto.FLOAT),
    ({"length": 8001}, [2000], TensorProto.FLOAT),
    ({"offset": 10**30}, [2000], TensorProto.FLOAT),
    ({"offset": -4}, [1], TensorProto.FLOAT),
    ({"offset": "four"}, [1], TensorProto.FLOAT),
    ({"length": "²"}, [1], TensorProto.FLOAT),
    ({}, [2001], TensorProto.FLOAT),
    ({}, [2**40, 2**40], TensorProto.FLOAT),
    ({}, [-1], TensorProto.FLOAT),
    ({}, [1], TensorProto.STRING),
    ({}, [1], 0),
    ({}, [1], 999),
]


@pytest.mark.parametrize(("entries", "dims", "dtype"), MISFITS)
def test_data_that_do_not_fit(entries: Entries, dims: list[int], dtype: int) -> None:
    tensor = external("w", dims, dtype, location="w.bin", **entries)
    error = refusal(net(tensor), {"w.bin": LARGE.tobytes()})
    assert error.code == "external_data_invalid"
    assert "`w`" in (error.where or "")


def test_bytes_and_files_give_the_same_net(tmp_path) -> None:
    model = net(external("w", [2000], location="sub/w.bin", offset=3, length=8000))
    data = b"abc" + LARGE.tobytes()  # not aligned
    path = tmp_path / "any name"
    path.write_bytes(data)
    for source in (data, path):
        loaded = load(NetFiles(model, {"sub/w.bin": source}))
        np.testing.assert_array_equal(weight(loaded), LARGE)


def test_a_file_is_mapped_and_not_copied(tmp_path) -> None:
    path = tmp_path / "w"
    path.write_bytes(LARGE.tobytes())
    array = weight(load(NetFiles(net(external("w", [2000], location="w")), {"w": path})))
    base: Any = array
    while not isinstance(base, np.memmap) and getattr(base, "base", None) is not None:
        base = base.base if not isinstance(base.base, memoryview) else base.base.obj
    assert isinstance(base, np.memmap)


def test_uploaded_bytes_are_not_copied() -> None:
    data = LARGE.tobytes()
    array = weight(load(NetFiles(net(external("w", [2000], location="w")), {"w": data})))
    assert np.shares_memory(array, np.frombuffer(data, np.uint8))
    assert not array.flags.writeable


def test_small_external_tensors_fix_shapes() -> None:
    shape = external("s", [2], TensorProto.INT64, location="s")
    model = net(shape, size=6, nodes="a = Reshape(x, s) b = Flatten(a) y = Reshape(b, t)")
    proto = onnx.ModelProto.FromString(model)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([6]), "t"))
    files = {"s": np.array([2, 3]).tobytes()}
    loaded = load(NetFiles(proto.SerializeToString(), files))
    assert list(loaded.graph[0].outputs[0].shape or ()) == [2, 3]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int64", "uint8", "int4"])
def test_every_dtype(dtype: str) -> None:
    kind = ir.DataType[{"float64": "DOUBLE"}.get(dtype, dtype.upper())]
    values = (np.arange(20000) % 7).astype(kind.numpy())
    packed = ir.Tensor(values, dtype=kind).tobytes()
    proto = onnx.ModelProto.FromString(net(size=2, nodes="y = Relu(x) z = Identity(w)"))
    proto.opset_import[0].version = 21
    proto.graph.initializer.append(external("w", [20000], kind.value, location="w"))
    loaded = load(NetFiles(proto.SerializeToString(), {"w": packed}))
    np.testing.assert_array_equal(weight(loaded).astype(np.float64), values.astype(np.float64))
    assert loaded.graph.initializers["w"].dtype == kind


def constant_node(tensor: TensorProto) -> bytes:
    proto = onnx.ModelProto.FromString(net())
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["w"], "const", value=tensor))
    return proto.SerializeToString()


def test_constant_nodes_take_external_data_too() -> None:
    model = constant_node(external("", [2000], location="w"))
    loaded = load(NetFiles(model, {"w": LARGE.tobytes()}))
    [constant, mul] = loaded.graph
    assert (constant.op_type, constant.name, constant.outputs[0].name) == ("Constant", "const", "w")
    assert mul.inputs[1] is constant.outputs[0]
    assert [v.name for v in loaded.graph.inputs] == ["x"]
    np.testing.assert_array_equal(constant.attributes["value"].as_tensor().numpy(), LARGE)
    assert refusal(model).where == "tensor `w`"


BRANCHES = """(bool c, float[2000] x) => (float[2000] y) {
  y = If(c) <
    then_branch = t () => (float[2000] p) <float[2000] w> { p = Mul(x, w) },
    else_branch = e () => (float[2000] q) <float[2000] w> { q = Add(x, w) }
  >
}"""


@pytest.mark.parametrize("names", [("w", "w"), ("u", "v")], ids=["same name", "two names"])
def test_subgraphs_take_external_data_too(names: tuple[str, str]) -> None:
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> net {BRANCHES}')
    for attribute, name in zip(proto.graph.node[0].attribute, names, strict=True):
        branch = attribute.g
        del branch.value_info[:]
        branch.initializer.append(external(name, [2000], location=name))
        branch.node[0].input[1] = name
    model = proto.SerializeToString()
    files = {name: LARGE.tobytes() for name in names}
    loaded = load(NetFiles(model, files))
    session = ort.InferenceSession(ir.to_proto(loaded).SerializeToString())
    x = np.ones(2000, np.float32)
    [mul], [add] = (session.run(None, {"c": np.array(c), "x": x}) for c in (True, False))
    np.testing.assert_array_equal(mul, LARGE)
    np.testing.assert_array_equal(add, LARGE + 1)
    assert refusal(model).code == "external_data_missing"


def test_functions_take_external_data_too() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "f" : 1]> net '
        "(float[2000] x) => (float[2000] y) { y = f.Scale(x) }"
        '<domain: "f", opset_import: ["" : 17]> Scale (a) => (b) { b = Mul(a, w) }'
    )
    tensor = external("", [2000], location="w")
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    proto.functions[0].node.insert(0, constant)
    loaded = load(NetFiles(proto.SerializeToString(), {"w": LARGE.tobytes()}))
    session = ort.InferenceSession(ir.to_proto(loaded).SerializeToString())
    [y] = session.run(None, {"x": np.ones(2000, np.float32)})
    np.testing.assert_array_equal(y, LARGE)


def test_an_empty_file_holds_an_empty_tensor(tmp_path) -> None:
    (tmp_path / "w").touch()
    model = net(external("w", [0], location="w"), size=0)
    assert weight(load(NetFiles(model, {"w": tmp_path / "w"}))).size == 0
