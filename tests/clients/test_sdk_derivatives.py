"""jvp, hvp, jacobian and hessian over the wire: what is sent, and what is read of the answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from portgrad_client import Gradients, InvalidAnswerError, InvalidRequestError, Net
from support.formats import JSON, SAFETENSORS
from support.sdk import Scripted, answer, port

X = np.array([[1.0, 2.0]], np.float32)
TANGENTS = {"Input": X}
CALLS: dict[str, Callable[..., Any]] = {
    "evaluate": Net.evaluate,
    "gradient": Net.gradient,
    "jvp": lambda net, data, **options: net.jvp(data, tangents=TANGENTS, **options),
    "hvp": lambda net, data, **options: net.hvp(data, tangents=TANGENTS, **options),
    "jacobian": Net.jacobian,
    "hessian": Net.hessian,
}
# By kind: the arrays of a flat answer, and its other fields.
ANSWERS: dict[str, tuple[dict[str, np.ndarray], dict[str, Any]]] = {
    "evaluate": ({"Output": X}, {}),
    "gradient": ({"grad/Input": X}, {"targets": ["Input"], "none": []}),
    "jvp": ({"jvp/inner": X, "jvp/Output": 2 * X}, {}),
    "hvp": ({"hvp/Input": X, "hvp/b": 2 * X}, {"targets": ["b", "Input", "b"], "none": []}),
    "jacobian": (
        {"jacobian/Output/a/b": X, "jacobian/Output/a": 2 * X, "jacobian/Output/a/b/c": 3 * X},
        {
            "targets": ["a", "b/c"],
            "none": [],
            "per_example": True,
            "direction": "reverse",
            "blocks": {
                "jacobian/Output/a": ["Output", "a"],
                "jacobian/Output/a/b": ["Output", "a/b"],
                "jacobian/Output/a/b/c": ["Output/a", "b/c"],
            },
        },
    ),
    "hessian": (
        {"hessian/a/a": X, "hessian/a/b": 2 * X},
        {
            "targets": ["a", "b"],
            "none": [{"name": "ids", "reason": "It holds integers."}],
            "per_example": False,
            "blocks": {"hessian/a/a": ["a", "a"], "hessian/a/b": ["a", "b"]},
        },
    ),
}


def flat(kind: str, **more: Any) -> httpx.Response:
    arrays, rest = ANSWERS[kind]
    return answer(arrays, **rest, **more)


def as_json(kind: str, **fields: Any) -> httpx.Response:
    """The same answer in JSON."""
    arrays, rest = ANSWERS[kind]
    shown = {name: plain(array) for name, array in arrays.items()}
    rest = dict(rest)
    if "blocks" in rest:
        nested: dict[str, Any] = {}
        for name, (of, wrt) in rest.pop("blocks").items():
            nested.setdefault(of, {})[wrt] = shown[name]
        fields[kind] = nested
    else:
        field = {"gradient": "gradients", "jvp": "tangents", "hvp": "products"}[kind]
        fields[field] = {name.partition("/")[2]: value for name, value in shown.items()}
    return httpx.Response(200, json={"warnings": [], **rest, **fields})


def plain(array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def listed(found: Any) -> Any:
    """A mapping of arrays as items in order, so that the order is compared too."""
    if isinstance(found, np.ndarray):
        return found.tolist()
    return [(name, listed(value)) for name, value in found.items()]


SETTINGS = {"mode": "train", "random_seed": np.int64(7), "precision": "float64"}


@pytest.mark.parametrize("kind", CALLS)
def test_every_call_takes_the_settings_of_a_run(kind: str) -> None:
    service = Scripted(flat(kind), parameters=[port("w", "float32", [1])])
    CALLS[kind](service.net(), X, batch="each", parameters={"w": [1.0]}, **SETTINGS)
    assert service.request.url.path == f"/nets/{'5e' * 32}/{kind}"
    told = {"batch": "each", "mode": "train", "random_seed": 7, "precision": "float64"}
    assert told.items() <= service.options.items()
    assert service.arrays["w"].dtype == np.float64


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize(
    ("setting", "told"),
    [({"presicion": "float64"}, "Did you mean 'precision'?"), ({"deadline": 3}, "'deadline'")],
)
def test_an_argument_that_no_call_takes(kind: str, setting: dict[str, Any], told: str) -> None:
    service = Scripted()
    with pytest.raises(TypeError, match=rf"^{kind}\(\)") as caught:
        CALLS[kind](service.net(), X, **setting)
    assert told in str(caught.value)
    assert service.requests == []


@pytest.mark.parametrize("seed", [1.5, True, "7"])
def test_a_random_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(InvalidRequestError):
        Scripted().net().evaluate(X, random_seed=seed)


@pytest.mark.parametrize(
    ("kind", "arguments", "options"),
    [
        ("gradient", {"reduction": "per_example"}, {"reduction": "per_example"}),
        ("gradient", {"diagnostics": True}, {"diagnostics": True}),
        ("jvp", {}, {}),
        ("jvp", {"of": ("y",), "stacked": False}, {"of": ["y"]}),
        ("hvp", {}, {}),
        ("hvp", {"wrt": "inputs"}, {"wrt": "inputs"}),
        ("hvp", {"wrt": [("a", "b")], "of": "y"}, {"wrt": [["a", "b"]], "of": "y"}),
        ("jacobian", {"direction": "forward"}, {"direction": "forward"}),
        ("hessian", {"wrt": "a", "outputs": True}, {"wrt": "a", "outputs": True}),
    ],
)
def test_options_travel_as_given(
    kind: str, arguments: dict[str, Any], options: dict[str, Any]
) -> None:
    service = Scripted(flat(kind))
    CALLS[kind](service.net(), X, **arguments)
    assert service.options == options


@pytest.mark.parametrize("name", ["seed/Output", "tangent/Input"])
def test_what_has_two_readings_travels_as_json(name: str) -> None:
    service = Scripted(flat("hvp"), inputs=[port("Input"), port(name)])
    data = {"Input": X, name: X}
    service.net().hvp(data, tangents=TANGENTS, output_gradients={"Output": X})
    assert service.request.headers["content-type"] == JSON
    body = json.loads(service.request.content)
    assert body["tangents"] == {"Input": plain(X)}
    assert body["output_gradients"] == {"Output": plain(X)}
    assert list(body["data"]) == ["Input", name]


FOUND = {
    "gradient": [("Input", X.tolist())],
    "jvp": [("Output", (2 * X).tolist()), ("inner", X.tolist())],
    "hvp": [("b", (2 * X).tolist()), ("Input", X.tolist())],
    "jacobian": [
        ("Output", [("a", (2 * X).tolist()), ("a/b", X.tolist())]),
        ("Output/a", [("b/c", (3 * X).tolist())]),
    ],
    "hessian": [("a", [("a", X.tolist()), ("b", (2 * X).tolist())])],
}


@pytest.mark.parametrize("form", [flat, as_json])
@pytest.mark.parametrize("kind", FOUND)
def test_what_an_answer_holds(kind: str, form: Callable[..., httpx.Response]) -> None:
    response = form(kind, warnings=["Mind."], random_seed=7)
    response.headers["X-Request-Id"] = "r1"
    found = CALLS[kind](Scripted(response).net(), X)
    if form is as_json and kind == "hvp":  # JSON has the service's own order
        assert dict(listed(found)) == dict(FOUND[kind])
    else:
        assert listed(found) == FOUND[kind]
    assert (found.warnings, found.random_seed, found.request_id) == (("Mind.",), 7, "r1")
    assert found.outputs.random_seed == 7
    rest = ANSWERS[kind][1]
    for field in ("per_example", "direction"):
        assert getattr(found, field, None) == rest.get(field)
    if "targets" in rest:
        assert found.targets == tuple(rest["targets"])
        assert found.none == {entry["name"]: entry["reason"] for entry in rest["none"]}


def test_diagnostics_are_kept() -> None:
    told = {"Input": {"zero": True}}
    found = Scripted(flat("gradient", diagnostics=told)).net().gradient(X, diagnostics=True)
    assert isinstance(found, Gradients)
    assert found.diagnostics == told
    assert Scripted(flat("gradient")).net().gradient(X).diagnostics is None


@pytest.mark.parametrize("kind", ["gradient", "jvp", "hvp", "jacobian", "hessian"])
@pytest.mark.parametrize("outputs", [True, ["{0}/x"]])
def test_outputs_called_like_what_is_computed_are_asked_for_in_json(
    kind: str, outputs: Any
) -> None:
    prefix = "grad" if kind == "gradient" else kind
    wanted = outputs if outputs is True else [name.format(prefix) for name in outputs]
    described = [port("Output"), *([port(f"{prefix}/x")] if outputs is True else [])]
    service = Scripted(as_json(kind, outputs={f"{prefix}/x": plain(X)}), outputs=described)
    found = CALLS[kind](service.net(), X, outputs=wanted)
    assert service.request.headers["accept"] == JSON
    assert service.request.headers["content-type"] == SAFETENSORS
    assert list(found.outputs) == [f"{prefix}/x"]


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("jacobian", {"blocks": {"jacobian/none": ["a", "b"]}}),
        ("jacobian", {"blocks": None}),
        ("hessian", {"blocks": {"hessian/a/a": "a"}}),
        ("hvp", {"targets": ["other"]}),
    ],
)
def test_an_answer_that_lacks_what_it_tells_of(kind: str, fault: dict[str, Any]) -> None:
    arrays, rest = ANSWERS[kind]
    with pytest.raises(InvalidAnswerError):
        CALLS[kind](Scripted(answer(arrays, **(rest | fault))).net(), X)
