"""What goes over the wire: bytes, headers and query of a call, and what is read of an answer."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import numpy as np
import pytest

from portgrad_client import InvalidAnswerError, InvalidRequestError, Net
from portgrad_client.answers import Timings
from support.formats import JSON, SAFETENSORS
from support.sdk import Scripted, answer, port

X = np.array([[1.0, 2.0]], np.float32)


def gradient_answer(**arrays: np.ndarray) -> httpx.Response:
    named = {f"grad/{name}": array for name, array in arrays.items()}
    return answer(named, targets=list(arrays), none=[])


def body_of(service: Scripted) -> dict[str, Any]:
    assert service.request.headers["content-type"] == JSON
    assert "options" not in service.request.url.params
    body: dict[str, Any] = json.loads(service.request.content)
    return body


def test_a_gradient_is_safetensors_both_ways() -> None:
    service = Scripted(gradient_answer(Input=X))
    service.net().gradient(X, output_gradients={"Output": np.ones((1, 2), np.float32)})
    assert service.request.method == "POST"
    assert service.request.url.path == f"/nets/{'5e' * 32}/gradient"
    assert service.request.headers["accept"] == SAFETENSORS
    assert service.arrays.keys() == {"Input", "seed/Output"}
    assert service.options == {}


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ({"wrt": "all"}, {"wrt": "all"}),
        ({"wrt": ["a", ("b", "c"), ["d", "e"]]}, {"wrt": ["a", ["b", "c"], ["d", "e"]]}),
        ({"wrt": ("a",)}, {"wrt": ["a"]}),
        ({"of": "y"}, {"of": "y"}),
        ({"of": [["a", "b"]]}, {"of": [["a", "b"]]}),
        ({"outputs": True}, {"outputs": True}),
        ({"outputs": False}, {"outputs": False}),
        ({"outputs": ("y",)}, {"outputs": ["y"]}),
        ({"batch": "each"}, {"batch": "each"}),
        ({"quantized": "exact"}, {"quantized": "exact"}),
    ],
)
def test_options_travel_as_given(arguments: dict[str, Any], options: dict[str, Any]) -> None:
    service = Scripted(gradient_answer(Input=X))
    service.net().gradient(X, **arguments)
    assert service.options == options


@pytest.mark.parametrize(
    "arguments",
    [{"wrt": 1}, {"wrt": [1]}, {"wrt": [["a", 1]]}, {"of": {"a"}}, {"outputs": "y"}],
)
def test_options_of_the_wrong_kind_are_not_sent(arguments: dict[str, Any]) -> None:
    service = Scripted()
    with pytest.raises(InvalidRequestError) as caught:
        service.net().gradient(X, **arguments)
    assert caught.value.code == "invalid_field"
    assert service.requests == []


def test_evaluate_without_options_has_no_query() -> None:
    service = Scripted(answer({"Output": X}))
    found = service.net().evaluate(X)
    assert service.request.url.path.endswith("/evaluate")
    assert service.request.url.query == b""
    assert found["Output"].tobytes() == X.tobytes()


def test_options_too_long_for_a_url_travel_as_json() -> None:
    service = Scripted(gradient_answer(Input=X))
    wrt = [f"layer{i}.weight" for i in range(300)]
    service.net().gradient(X, wrt=wrt, output_gradients={"Output": X})
    body = body_of(service)
    data = {"dtype": "float32", "shape": [1, 2], "data": base64.b64encode(X.tobytes()).decode()}
    assert body == {"data": {"Input": data}, "output_gradients": {"Output": data}, "wrt": wrt}
    assert service.request.headers["accept"] == SAFETENSORS


@pytest.mark.parametrize(
    "described",
    [
        {"inputs": [port("Input"), port("seed/Output")]},
        {"parameters": [port("seed/Output")]},
    ],
)
def test_a_seed_with_two_readings_travels_as_json(described: dict[str, Any]) -> None:
    service = Scripted(gradient_answer(Input=X), **described)
    net = service.net()
    data = {entry.name: X for entry in net.inputs}
    net.gradient(data, output_gradients={"Output": X})
    assert body_of(service)["output_gradients"].keys() == {"Output"}


@pytest.mark.parametrize("name", ["dtype", "seed/Output", "Ü/ñ", '"', "x" * 300])
def test_ports_of_any_name_travel(name: str) -> None:
    service = Scripted(answer({"Output": X}), inputs=[port(name)])
    service.net().evaluate({name: X})
    assert list(service.arrays) == [name]


def test_a_port_called_as_the_metadata_travels_as_json() -> None:
    service = Scripted(answer({"Output": X}), inputs=[port("__metadata__")])
    service.net().evaluate(X)
    assert body_of(service)["data"].keys() == {"__metadata__"}


@pytest.mark.parametrize(
    ("dtype", "value", "sent"),
    [
        ("string", ["a", "NaN"], ["a", "NaN"]),
        ("int4", [7, -8], [7, -8]),
        ("complex128", [1j], {"dtype": "complex128", "shape": [1], "data": "A" * 19 + "PA/"}),
        ("sequence(float32)", [[1.5, np.nan], np.float32(2)], None),
    ],
)
def test_what_safetensors_cannot_carry_travels_as_json(dtype: str, value: Any, sent: Any) -> None:
    service = Scripted(answer({"Output": X}), inputs=[port("Input", dtype, None)])
    service.net().evaluate(value)
    body = body_of(service)["data"]["Input"]
    if dtype == "complex128":
        assert base64.b64decode(body["data"]) == np.array([1j]).tobytes()
    elif sent is None:
        assert body == [[1.5, "NaN"], {"dtype": "float32", "shape": [], "data": "AAAAQA=="}]
    else:
        assert body == sent


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ([[1, 2]], [[1, 2]]),
        (np.array([[1.5, np.inf]]), [[1.5, "Infinity"]]),
        (1.0, 1.0),
        (np.array([1], np.int64), [1]),
    ],
)
def test_seeds_at_inner_values_are_cast_by_the_service(value: Any, sent: Any) -> None:
    service = Scripted(gradient_answer(Input=X))
    service.net().gradient(X, output_gradients={"hidden": value})
    assert body_of(service)["output_gradients"] == {"hidden": sent}


def test_seeds_at_inner_values_in_a_chosen_dtype_stay_binary() -> None:
    service = Scripted(gradient_answer(Input=X))
    service.net().gradient(X, output_gradients={"hidden": np.ones(2, np.float16)})
    assert service.arrays["seed/hidden"].dtype == np.float16


def test_seeds_at_outputs_are_cast_to_their_dtype() -> None:
    service = Scripted(gradient_answer(Input=X), outputs=[port("Output", "float16")])
    service.net().gradient(X, output_gradients={"Output": 1})
    assert service.arrays["seed/Output"].dtype == np.float16


def json_answer(**fields: Any) -> httpx.Response:
    return httpx.Response(200, json={"warnings": [], **fields})


@pytest.mark.parametrize(
    "outputs",
    [
        [port("Output"), port("label", "string", ["N"])],
        [port("Output"), port("grad/Output")],
        [port("__metadata__")],
    ],
)
def test_outputs_that_safetensors_cannot_carry_are_asked_for_in_json(outputs: Any) -> None:
    service = Scripted(json_answer(outputs={}), outputs=outputs)
    service.net().evaluate(X)
    assert service.request.headers["accept"] == JSON
    assert service.request.headers["content-type"] == SAFETENSORS
    assert service.options == {"encoding": "base64"}


def test_outputs_that_are_not_asked_for_do_not_matter() -> None:
    outputs = [port("Output"), port("label", "string", ["N"])]
    service = Scripted(gradient_answer(Input=X), outputs=outputs)
    service.net().gradient(X, outputs=["Output"])
    assert service.request.headers["accept"] == SAFETENSORS


def test_a_json_answer_is_read_with_its_dtypes() -> None:
    half = {"dtype": "float16", "shape": [], "data": base64.b64encode(b"\x00\x3c").decode()}
    given = {"label": [["a"], ["b"]], "count": [3], "all": [[1], "x"], "Output": half}
    outputs = [port("Output", "float16"), port("label", "string"), port("count", "int4")]
    outputs += [port("all", "sequence(int64)")]
    service = Scripted(json_answer(outputs=given), outputs=outputs)
    found = service.net().evaluate(X)
    assert list(found) == ["Output", "label", "count", "all"]
    assert (found["Output"].dtype, found["Output"].shape, found["Output"][()]) == ("f2", (), 1)
    assert found["label"].dtype == object
    assert found["label"].tolist() == [["a"], ["b"]]
    assert found["count"].tolist() == [3]
    assert found["all"] == [[1], "x"]


def test_everything_of_a_gradients_answer_is_kept() -> None:
    arrays = {"grad/b": X, "grad/a": 2 * X, "hidden": 3 * X, "Output": 4 * X}
    response = answer(
        arrays,
        targets=["b", "a", "b"],
        none=[{"name": "ids", "reason": "It holds integers."}],
        warnings=["Mind the trees."],
    )
    response.headers["Server-Timing"] = "decode;dur=1.5, run;dur=250.0"
    response.headers["X-Request-Id"] = "r1"
    outputs, found = Scripted(response).net().value_and_gradient(X, wrt=["b", "a", "b"])
    assert list(found) == ["b", "a"]
    assert found.targets == ("b", "a", "b")
    assert list(outputs) == ["Output", "hidden"]
    assert found.outputs is outputs
    assert found["a"].tolist() == (2 * X).tolist()
    assert found.none == {"ids": "It holds integers."}
    assert found.warnings == ("Mind the trees.",)
    assert found.timings == {"decode": 0.0015, "run": 0.25}
    assert found.request_id == "r1"


@pytest.mark.parametrize(
    ("header", "stages"),
    [
        ("", {}),
        ("run;dur=2", {"run": 0.002}),
        ('cache;desc="hit", run;desc=x;dur=1', {"run": 0.001}),
        ("run;dur=soon, encode;dur=.", {}),
    ],
)
def test_server_timing(header: str, stages: dict[str, float]) -> None:
    assert Timings(header) == stages


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>Welcome</html>", headers={"content-type": "text/html"}),
        httpx.Response(200),
        httpx.Response(200, content=b"\x00", headers={"content-type": SAFETENSORS}),
        httpx.Response(200, content=b"{", headers={"content-type": JSON}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"outputs": {}}),
        answer({"Input": X}, targets=["Input"]),
    ],
)
def test_an_answer_that_is_not_portgrads_is_told(response: httpx.Response) -> None:
    with pytest.raises(InvalidAnswerError):
        Scripted(response).net().gradient(X)


@pytest.mark.parametrize("described", [{"inputs": [{"name": "x"}]}, {"inputs": [3]}])
def test_a_description_that_is_not_portgrads_is_told(described: Any) -> None:
    with pytest.raises(InvalidAnswerError):
        Scripted(**described).net()


def test_a_gradients_mapping_is_read_only() -> None:
    found = Scripted(gradient_answer(Input=X)).net().gradient(X)
    assert not hasattr(found, "__setitem__")
    with pytest.raises(AttributeError):
        found.targets = ()  # type: ignore[misc]
    assert isinstance(Scripted().net(), Net)
