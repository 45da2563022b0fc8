"""Each kind of call in each combination of formats: its fields arrive, what it finds comes back."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from support.fake_compute import WEIGHT, FakeCompute, fake_net
from support.formats import FORMATS, JSON, NPZ, SAFETENSORS, answer, request
from support.http import AppClient

X = np.array([1, -2.5], np.float32)
T = np.array([[0.5, 3.0]], np.float32)
W = np.array([7.0, -0.0], np.float32)
NAME = WEIGHT["name"]

SETTINGS = {"mode": "train", "random_seed": 2**63 - 1, "precision": "float64", "batch": "as_is"}
TARGETS = {"wrt": ["input"], "of": ["output"]}
# What can be sent beside the data: prefixes of arrays, and fields with a value each.
CALLS: dict[str, tuple[set[str], dict[str, Any]]] = {
    "evaluate": (set(), {"outputs": True}),
    "gradient": (
        {"seed/"},
        TARGETS
        | {"outputs": True, "quantized": "exact", "stacked": True, "reduction": "per_example"}
        | {"diagnostics": True},
    ),
    "jvp": (
        {"tangent/"},
        {"of": "output", "outputs": True, "quantized": "straight_through", "stacked": True},
    ),
    "hvp": (
        {"tangent/", "seed/"},
        TARGETS | {"outputs": True, "quantized": "exact", "stacked": False},
    ),
    "jacobian": (set(), TARGETS | {"outputs": True, "quantized": "exact", "direction": "forward"}),
    "hessian": ({"seed/"}, TARGETS | {"outputs": True, "quantized": "exact"}),
    "gradcheck": ({"seed/"}, TARGETS | {"quantized": "exact", "directions": 5, "tolerance": 0.5}),
}
FOUND = {
    "evaluate": {"output": X},
    "gradient": {"grad/input": X, "output": X},
    "jvp": {"jvp/input": T, "output": X},
    "hvp": {"hvp/input": T, "output": X},
    "jacobian": {"jacobian/output/input": X, "output": X},
    "hessian": {"hessian/input/input": X, "output": X},
    "gradcheck": {},
}
WARNED = {"warnings": ["Mind the trees."]}
NONE = {"none": [{"name": "ids", "reason": "It is an integer."}]}
TARGET = {"targets": ["input"]}
ABOUT: dict[str, dict[str, Any]] = {
    "evaluate": {"warnings": []},
    "gradient": TARGET | NONE | WARNED | {"diagnostics": {"first": None}},
    "jvp": WARNED,
    "hvp": TARGET | NONE | WARNED,
    "jacobian": TARGET | NONE | WARNED | {"per_example": False, "direction": "reverse"},
    "hessian": TARGET | NONE | WARNED | {"per_example": False},
    "gradcheck": {"ok": True},
}


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize("sent", FORMATS)
@pytest.mark.parametrize("kind", CALLS)
def test_all_fields_of_every_call(
    *, http: AppClient, net: str, compute: FakeCompute, kind: str, sent: str, wanted: str
) -> None:
    prefixes, fields = CALLS[kind]
    fields = fields | SETTINGS
    arrays = {"input": X, NAME: W}
    arrays |= {"tangent/input": T} if "tangent/" in prefixes else {}
    arrays |= {"seed/output": T} if "seed/" in prefixes else {}
    call = request(sent, arrays, parameters=[NAME], **fields, encoding="base64")
    call["headers"]["Accept"] = wanted
    response = http.post(f"/nets/echo/{kind}", **call)
    assert response.status_code == 200, response.text
    (job,) = compute.jobs
    assert (job.kind, job.net_id, job.options) == (kind, net, fields)
    for held, name, array in [
        (job.data, "input", X),
        (job.parameters, NAME, W),
        (job.tangents, "input", T if "tangent/" in prefixes else None),
        (job.output_gradients, "output", T if "seed/" in prefixes else None),
    ]:
        assert isinstance(held, dict)
        assert held.keys() == ({name} if array is not None else set())
        assert all(value.tobytes() == array.tobytes() for value in held.values())
    found, about = answer(wanted, response.content)
    assert found.keys() == FOUND[kind].keys()
    for name, array in FOUND[kind].items():
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
    blocks = about.pop("blocks", None)
    assert about == ABOUT[kind] | {"random_seed": 2**63 - 1}
    if wanted != JSON and kind in {"jacobian", "hessian"}:
        first = "output" if kind == "jacobian" else "input"
        assert blocks == {f"{kind}/{first}/input": [first, "input"]}
    else:
        assert blocks is None


@pytest.mark.parametrize("kind", CALLS)
def test_a_call_takes_no_fields_of_others(http: AppClient, net: str, kind: str) -> None:
    prefixes, fields = CALLS[kind]
    taken = {"data", "parameters", "encoding", "deadline", *fields, *SETTINGS}
    taken |= {"output_gradients"} if "seed/" in prefixes else set()
    taken |= {"tangents"} if "tangent/" in prefixes else set()
    every = set(itertools.chain.from_iterable(fields for _, fields in CALLS.values()))
    body = {"data": [1], "tangents": {}} if "tangents" in taken else {"data": [1]}
    for field in (every | {"output_gradients", "tangents"}) - taken:
        response = http.post(f"/nets/echo/{kind}", json=body | {field: None})
        assert (response.status_code, response.json()["code"]) == (422, "unknown_field"), field
        assert {*response.json()["expected"].split(", ")} == taken


@pytest.mark.parametrize("sent", [SAFETENSORS, NPZ])
@pytest.mark.parametrize("kind", CALLS)
def test_a_call_takes_no_arrays_of_others(http: AppClient, net: str, kind: str, sent: str) -> None:
    for prefix in {"seed/", "tangent/"} - CALLS[kind][0]:
        call = request(sent, {"input": X, f"{prefix}output": X})
        response = http.post(f"/nets/echo/{kind}", **call)
        assert (response.status_code, response.json()["code"]) == (422, "unknown_port")


WRONG = [
    ("jvp", {"tangents": [1]}, 422, "invalid_field"),
    ("jvp", {"tangents": {"input": None}}, 400, "invalid_array"),
    ("hvp", {"tangents": {}, "reduction": "mean"}, 422, "unknown_field"),
    ("jacobian", {"direction": "backward"}, 422, "invalid_field"),
    ("jacobian", {"direction": True}, 422, "invalid_field"),
    ("hessian", {"stacked": True}, 422, "unknown_field"),
    ("gradcheck", {"directions": 0}, 422, "invalid_field"),
    ("gradcheck", {"directions": 1001}, 422, "invalid_field"),
    ("gradcheck", {"directions": 2.0}, 422, "invalid_field"),
    ("gradcheck", {"tolerance": 0}, 422, "invalid_field"),
    ("gradcheck", {"tolerance": True}, 422, "invalid_field"),
    ("gradcheck", {"tolerance": "0.1"}, 422, "invalid_field"),
    ("gradcheck", {"outputs": True}, 422, "unknown_field"),
]


@pytest.mark.parametrize(("kind", "fields", "status", "code"), WRONG)
def test_wrong_fields(
    *,
    http: AppClient,
    net: str,
    compute: FakeCompute,
    kind: str,
    fields: Any,
    status: int,
    code: str,
) -> None:
    response = http.post(f"/nets/echo/{kind}", json={"data": [1], **fields})
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.json()["remedy"]
    assert not compute.jobs


PLACES: list[dict[str, Any]] = [
    {"index": 1},
    {"index": [0, 1]},
    {"at": [0, 1]},
    {"at": [[0, 1], [1, 0]]},
]


@pytest.mark.parametrize("sent", FORMATS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["gradient", "hvp", "hessian", "gradcheck"])
def test_places_of_ones_come_as_they_are(
    *, http: AppClient, net: str, compute: FakeCompute, kind: str, place: Any, sent: str
) -> None:
    arrays = {"input": X, "seed/inner": X} | ({"tangent/input": X} if kind == "hvp" else {})
    call = request(sent, arrays, output_gradients={"output": place})
    response = http.post(f"/nets/echo/{kind}", **call)
    assert response.status_code == 200, response.text
    seeds = compute.jobs[-1].output_gradients
    assert seeds.keys() == {"inner", "output"}
    assert seeds["output"] == place


NO_PLACES: list[Any] = [
    ({"indices": 1}, 422, "invalid_class_seed"),
    ({}, 422, "invalid_class_seed"),
    ({"dtype": "float32"}, 400, "invalid_array"),
]


@pytest.mark.parametrize(("place", "status", "code"), NO_PLACES)
def test_an_object_that_is_neither_array_nor_place(
    http: AppClient, net: str, place: dict[str, Any], status: int, code: str
) -> None:
    fields = {"output_gradients": {"output": place}}
    response = http.post("/nets/echo/gradient", json={"data": [1], **fields})
    assert (response.status_code, response.json()["code"]) == (status, code)
    for field in ("data", "parameters", "tangents"):
        body = {"data": [1], "tangents": {}, field: {"input": {"index": 1}}}
        response = http.post("/nets/echo/jvp", json=body)
        assert (response.status_code, response.json()["code"]) == (400, "invalid_array")


@pytest.mark.parametrize("given", [{"output": [1]}, {"output": 1}, [1], 1, {"output": {}}])
def test_options_hold_no_arrays(http: AppClient, net: str, given: Any) -> None:
    call = request(NPZ, {"input": X}, output_gradients=given)
    response = http.post("/nets/echo/gradient", **call)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    assert response.json()["where"] == "output_gradients"


def test_a_gradient_that_is_imposed_twice(http: AppClient, net: str) -> None:
    arrays = {"input": X, "seed/output": X}
    call = request(NPZ, arrays, output_gradients={"output": {"index": 0}})
    response = http.post("/nets/echo/gradient", **call)
    assert (response.status_code, response.json()["where"]) == (422, "output_gradients.output")


@pytest.mark.parametrize("kind", ["jvp", "hvp"])
def test_without_tangents_nothing_is_asked(http: AppClient, net: str, kind: str) -> None:
    problem = http.post(f"/nets/echo/{kind}", json={"data": [1]}).json()
    assert (problem["code"], problem["where"]) == ("missing_field", "tangents")


@pytest.mark.parametrize("wanted", [SAFETENSORS, NPZ])
def test_pairs_of_names_that_come_to_one(http: AppClient, wanted: str) -> None:
    """a, b/c and a/b, c are one name in a file, and two places in JSON."""
    http.post("/nets?name=odd", content=fake_net("a", "b/c", "a/b", "c"))
    body = {"data": {name: [1] for name in ("a", "b/c", "a/b", "c")}}
    response = http.post("/nets/odd/hessian", json=body, headers={"Accept": wanted})
    assert (response.status_code, response.json()["code"]) == (422, "ambiguous_name")
    assert response.json()["where"] == "hessian/a/b/c"
    found = http.post("/nets/odd/hessian", json=body).json()["hessian"]
    assert json.dumps(found["a"]["b/c"]) == "[1.0]"


def test_a_parameter_may_be_called_like_a_prefix(http: AppClient, compute: FakeCompute) -> None:
    http.post("/nets?name=odd", content=fake_net("x", "tangent/y", "tangent/x"))
    call = request(NPZ, {"tangent/y": X})
    response = http.post("/nets/odd/jvp", **call)
    assert response.status_code == 200, response.text
    assert compute.jobs[-1].data.keys() == {"tangent/y"}  # type: ignore[union-attr]
    problem = http.post("/nets/odd/jvp", **request(NPZ, {"tangent/x": X})).json()
    assert (problem["code"], problem["where"]) == ("ambiguous_name", "tangent/x")
