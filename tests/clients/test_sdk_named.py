"""Parameters overridden, gradients imposed and tangents: what is cast, chosen and refused."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest

from portgrad_client import InvalidRequestError, NetPortGradient
from portgrad_client.dtypes import dtype_named
from support.sdk import Scripted, answer, description, port

X = np.array([[1.0, 2.0]], np.float32)
WEIGHT = np.ones((3, 2), np.float32)
NET = {
    "inputs": [port("Input"), port("ids", "int64", ["N"])],
    "outputs": [port("Output"), port("half", "float16")],
    "parameters": [port("weight", shape=[3, 2]), port("scale", "float16", [])],
}
DATA = {"Input": X, "ids": [1]}


def service(**described: Any) -> Scripted:
    return Scripted(answer({}, targets=[], none=[]), **(NET | described))


def test_overrides_go_beside_the_data_in_their_parameters_dtype() -> None:
    there = service()
    given = {"weight": [[1, 2], [3, 4], [5, 6]], "scale": 0.5}
    there.net().gradient(DATA, parameters=given)
    assert there.options == {}
    sent = {name: (array.dtype.name, array.tolist()) for name, array in there.arrays.items()}
    assert sent == {
        "Input": ("float32", [[1, 2]]),
        "ids": ("int64", [1]),
        "weight": ("float32", given["weight"]),
        "scale": ("float16", 0.5),
    }


@pytest.mark.parametrize(
    ("parameters", "code", "told"),
    [
        ({"wieght": WEIGHT}, "unknown_parameter", "Did you mean 'weight'?"),
        ({"WEIGHT": WEIGHT}, "unknown_parameter", "Did you mean 'weight'?"),
        ({"zzz": WEIGHT}, "unknown_parameter", "net.parameters"),
        ({"weight": WEIGHT[:2]}, "wrong_parameter_shape", "Expected: (3, 2). Found: (2, 2)."),
        ({"weight": 1.0}, "wrong_parameter_shape", "Found: ()."),
        ({"scale": [0.5]}, "wrong_parameter_shape", "Found: (1)."),
        ({"scale": np.float32(0.5)}, "wrong_dtype", "float16"),
        ({"weight": [[1], [2, 3]]}, "ragged_array", "weight"),
        (WEIGHT, "invalid_field", "arrays by name"),
        ({NetPortGradient("weight"): WEIGHT}, "invalid_field", "arrays by name"),
    ],
)
def test_overrides_that_do_not_fit_are_not_sent(parameters: Any, code: str, told: str) -> None:
    there = service()
    with pytest.raises(InvalidRequestError) as caught:
        there.net().evaluate(DATA, parameters=parameters)
    assert caught.value.code == code
    assert told in str(caught.value)
    assert there.requests == []


def test_an_override_of_a_net_out_of_a_list_has_it_described_once() -> None:
    whole = description(**NET)
    listed = {"nets": [{k: v for k, v in whole.items() if k != "parameters"}], "next": None}
    done = answer({}, targets=[], none=[])
    there = Scripted(
        httpx.Response(200, json=listed), done, httpx.Response(200, json=whole), done, done
    )
    (net,) = there.client().nets()
    net.gradient(DATA)
    for _ in range(2):
        net.gradient(DATA, parameters={"weight": WEIGHT})
    methods = [request.method for request in there.requests]
    assert methods == ["GET", "POST", "GET", "POST", "POST"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"index": 3}, {"index": 3}),
        ({"index": np.int64(3)}, {"index": 3}),
        ({"index": np.array([3, 0])}, {"index": [3, 0]}),
        ({"at": (0, np.uint8(1))}, {"at": [0, 1]}),
        ({"at": [[0, 1], [2, 3]]}, {"at": [[0, 1], [2, 3]]}),
    ],
)
def test_chosen_elements_travel_in_the_options(given: Any, sent: Any) -> None:
    there = service()
    imposed = {"Output": given, "half": [[1.0]]}
    there.net().gradient(DATA, output_gradients=imposed, stacked=True)
    assert there.options == {"output_gradients": {"Output": sent}, "stacked": True}
    assert there.arrays.keys() == {"Input", "ids", "seed/half"}


def test_chosen_elements_stand_beside_arrays_in_json() -> None:
    there = service()
    imposed = {"Output": {"index": [0]}, "inner": [1.0]}
    there.net().gradient(DATA, output_gradients=imposed)
    body = json.loads(there.request.content)
    assert body["output_gradients"] == {"Output": {"index": [0]}, "inner": [1.0]}


def test_chosen_elements_are_values_of_the_notation() -> None:
    there = Scripted(answer({"grad/Input": X}, targets=["Input"], none=[]))
    there.net()({"Input": X, NetPortGradient("Output"): {"index": 1}}, NetPortGradient("Input"))
    assert there.options["output_gradients"] == {"Output": {"index": 1}}


@pytest.mark.parametrize(
    "given",
    [{"index": 0.5}, {"index": True}, {"indx": 1}, {"index": 1, "at": [1]}, {}, {"at": "0"}],
)
def test_what_chooses_no_elements_is_not_sent(given: Any) -> None:
    there = service()
    with pytest.raises(InvalidRequestError) as caught:
        there.net().gradient(DATA, output_gradients={"Output": given})
    assert (caught.value.code, caught.value.where) == ("invalid_field", "output_gradients.Output")
    assert there.requests == []


def test_tangents_go_beside_the_data_in_the_dtype_of_what_they_are_at() -> None:
    there = service()
    inner = np.ones(2, np.float16)
    given = {"Input": [[1, 0]], "weight": WEIGHT.tolist(), "scale": 1.0, "inner": inner}
    there.net().jvp(DATA, tangents=given)
    dtypes = {name: array.dtype.name for name, array in there.arrays.items() if "/" in name}
    assert dtypes == {
        "tangent/Input": "float32",
        "tangent/weight": "float32",
        "tangent/scale": "float16",
        "tangent/inner": "float16",
    }


@pytest.mark.parametrize(
    ("tangents", "stacked", "expected"),
    [
        ({"Input": [1.0, 0.0]}, False, "(1, 2)"),
        ({"Input": np.ones((2, 2), np.float32)}, False, "(1, 2)"),
        ({"Input": X}, True, "K tangents of the shape (1, 2)"),
        ({"weight": WEIGHT.T}, False, "(3, 2)"),
        ({"scale": 1.0}, True, "K tangents of the shape ()"),
        ({"scale": [1.0]}, False, "()"),
    ],
)
def test_tangents_have_the_shape_of_what_they_are_at(
    tangents: Any, stacked: bool, expected: str
) -> None:
    there = service()
    with pytest.raises(InvalidRequestError) as caught:
        there.net().jvp(DATA, tangents=tangents, stacked=stacked)
    assert (caught.value.code, caught.value.expected) == ("wrong_tangent_shape", expected)
    assert there.requests == []


def test_stacked_arrays_keep_their_axis() -> None:
    there = service()
    tangents = {"Input": np.ones((4, 1, 2)), "scale": np.ones(4)}
    imposed = {"Output": np.ones((1, 1, 2), np.float32)}
    there.net().hvp(DATA, tangents=tangents, output_gradients=imposed, stacked=True)
    shapes = {name: array.shape for name, array in there.arrays.items() if "/" in name}
    assert shapes == {
        "tangent/Input": (4, 1, 2), "tangent/scale": (4,), "seed/Output": (1, 1, 2)
    }  # fmt: skip
    assert there.options == {"stacked": True}


def test_in_double_nothing_is_narrowed() -> None:
    there = service()
    third = 1 / 3  # float32 has it not
    there.net().hvp(
        {"Input": [[third, third]], "ids": [1]},
        tangents={"Input": [[third, third]], "inner": [third]},
        output_gradients={"half": third, "hidden": [third]},
        parameters={"scale": third, "weight": WEIGHT},
        precision="float64",
    )
    assert there.options == {"precision": "float64"}
    for name, array in there.arrays.items():
        assert array.dtype.name == ("int64" if name == "ids" else "float64"), name
        assert name in ("ids", "weight") or (array == third).all(), name


@pytest.mark.parametrize("dtype", ["complex64", "float8_e5m2", "int32", "bool"])
def test_what_is_no_wider_in_double(dtype: str) -> None:
    there = Scripted(answer({}), inputs=[port("x", dtype, None)])
    there.net().evaluate(np.ones(2, dtype_named(dtype)), precision="float64")
    assert there.arrays["x"].dtype.name == dtype
