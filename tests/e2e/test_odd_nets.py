"""Nets that nobody draws: odd names in every format, and graphs with next to nothing in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from portgrad_client import Client
from support.formats import FORMATS, JSON, NPZ, SAFETENSORS, answer, request, to_npz
from support.http import AppClient
from support.sdk import ADDRESS, pool

X = np.array([1, 2], np.float32)
W = np.array([3, 4], np.float32)


def model(nodes: list[Any], inputs: list[str], outputs: list[str], weights: list[str]) -> bytes:
    """A net whose ports and weights are vectors of two."""

    def ports(names: list[str]) -> list[Any]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in names]

    graph = helper.make_graph(
        nodes,
        "net",
        ports(inputs),
        ports(outputs),
        [numpy_helper.from_array(W, n) for n in weights],
    )
    opsets = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def upload(http: AppClient, content: bytes) -> str:
    answered = http.post("/nets", content=content)
    assert answered.status_code in {200, 201}, answered.text
    net_id: str = answered.json()["id"]
    return net_id


ODD = [
    "seed/x", "grad/x", "__metadata__", "__meta__", "file", "answer", "data", "options", "inputs",
    "all", "dtype", "self", "portgrad0/x", "1", "NaN", ":0", "a:b", 'a"b', "it's", "a/b", "a\\b",
    "..", "x.npy", "x y", "a\nb", "\t", "\x7f", "%2F", "{x}", "é", "日本語", "😀", "a\u202eb",
    "x" * 500,
]  # fmt: skip
# What a format cannot carry is refused, and each of these in another format is not.
REFUSED = {
    (SAFETENSORS, "__metadata__", "in"): "invalid_safetensors",
    (SAFETENSORS, "__metadata__", "out"): "ambiguous_name",
    (NPZ, "__meta__", "out"): "ambiguous_name",
}


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_odd_names_in_every_format(http: AppClient, fmt: str, name: str) -> None:
    if fmt == NPZ and name == "file":
        pytest.skip("numpy.savez cannot write it; the SDK's test does without")
    sides = {"in": (name, "y")}
    if name != "grad/x":  # a port called like the answer's gradient is refused
        sides["out"] = ("x", name)
    for side, (port, output) in sides.items():
        node = helper.make_node("Mul", [port, "w"], [output])
        net_id = upload(http, model([node], [port], [output], ["w"]))
        asked = {"wrt": [port, "w"], "outputs": True, "encoding": "base64"}
        given = http.post(f"/nets/{net_id}/gradient", **request(fmt, {port: X}, **asked))
        if fmt == JSON and name.startswith("seed/") and side == "in":
            assert given.status_code == 422  # the helper takes it for a seed
            continue
        if (fmt, name, side) in REFUSED:
            assert given.json()["code"] == REFUSED[fmt, name, side]
            continue
        assert given.status_code == 200, given.text
        arrays, _ = answer(fmt, given.content)
        expected = {f"grad/{port}": W, "grad/w": X, output: X * W}
        assert arrays.keys() == expected.keys()
        for key, array in expected.items():
            np.testing.assert_array_equal(arrays[key], array)


@pytest.mark.parametrize("name", [name for name in ODD if name != "__metadata__"], ids=ascii)
def test_odd_names_from_python(http: AppClient, name: str) -> None:
    node = helper.make_node("Mul", [name, "w"], ["y"])
    client = Client(ADDRESS, http_client=pool(http))
    net = client.upload(model([node], [name], ["y"], ["w"]))
    found = net.gradient({name: X}, wrt=[name], output_gradients={"y": 2 * X})
    np.testing.assert_array_equal(found[name], 2 * X * W)


MUL = helper.make_node("Mul", ["x", "w"], ["y"])
CONSTANT = helper.make_node("Constant", [], ["c"], value_floats=[5.0, 6.0])
ONES, ZEROS = np.ones(2, np.float32), np.zeros(2, np.float32)

NEXT_TO_NOTHING = {
    "an input that is the output": (model([], ["x"], ["x"], []), {"x": ONES}, {"x": X}),
    "a weight that is the output": (
        model([], ["x"], ["w"], ["w"]), {"x": ZEROS, "w": ONES}, {"w": W}),
    "a weight that is an output too": (
        model([MUL], ["x"], ["y", "w"], ["w"]), {"x": W, "w": X + 1}, {"y": X * W, "w": W}),
    "a constant output": (
        model([MUL, CONSTANT], ["x"], ["y", "c"], ["w"]), {"x": W, "w": X},
        {"y": X * W, "c": np.array([5, 6], np.float32)}),
    "an output twice": (model([MUL], ["x"], ["y", "y"], ["w"]), {"x": W, "w": X}, {"y": X * W}),
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "gradients", "outputs"), NEXT_TO_NOTHING.values(), ids=NEXT_TO_NOTHING
)
def test_nets_with_next_to_nothing_in_them(
    http: AppClient, content: bytes, gradients: Any, outputs: Any
) -> None:
    net_id = upload(http, content)
    body = {"data": {"x": X.tolist()}, "wrt": "all", "outputs": True}
    given = http.post(f"/nets/{net_id}/gradient", json=body).json()
    assert given["gradients"] == {name: array.tolist() for name, array in gradients.items()}
    assert given["outputs"] == {name: array.tolist() for name, array in outputs.items()}


def test_a_net_without_inputs(http: AppClient) -> None:
    node = helper.make_node("Mul", ["w", "w"], ["y"])
    net_id = upload(http, model([node], [], ["y"], ["w"]))
    given = http.post(f"/nets/{net_id}/gradient", json={"data": {}, "wrt": "parameters"}).json()
    assert given["gradients"] == {"w": (2 * W).tolist()}


ROUNDED = [
    helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
    helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
    helper.make_node("Add", ["f", "x"], ["y"]),
]


def test_inner_values_as_outputs_as_targets_and_as_what_is_summed(http: AppClient) -> None:
    net_id = upload(http, model(ROUNDED, ["x"], ["y"], []))
    fields = {"wrt": ["f", "y", "x"], "of": ["f", "y"], "outputs": ["i", "f"]}
    body = {"data": [1.5, 2], "output_gradients": {"f": [10, 20]}, **fields}
    given = http.post(f"/nets/{net_id}/gradient", json=body).json()
    assert given["gradients"] == {"f": [11, 21], "y": [1, 1], "x": [1, 1]}
    assert given["outputs"] == {"i": [1, 2], "f": [1, 2]}


def test_arrays_by_the_name_of_savez_s_own_argument(http: AppClient) -> None:
    node = helper.make_node("Mul", ["file", "w"], ["y"])
    net_id = upload(http, model([node], ["file"], ["y"], ["w"]))
    content = to_npz({"fil3": X}).replace(b"fil3.npy", b"file.npy")
    given = http.post(f"/nets/{net_id}/gradient", content=content, headers={"Content-Type": NPZ})
    arrays, _ = answer(NPZ, given.content)
    np.testing.assert_array_equal(arrays["grad/file"], W)
