"""The application over real nets: the examples of its pages, and calls that cannot be served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from portgrad.api.app import create_app
from portgrad.api.openapi import examples
from portgrad.codecs.model import Kind
from portgrad.samples import samples
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.computing import computing
from support.engine import net_bytes, random
from support.formats import FORMATS, NPZ, answer, as_object, request
from support.http import AppClient, serving
from support.ways import way

pytestmark = pytest.mark.usefixtures("way")
__all__ = ["way"]

# float32, whose sums may be added in another order on another machine
CLOSE = {"rel": 1e-4, "abs": 1e-5}
LIMIT = 4096
WEIGHTS = {"weight": random(3, 2)}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppClient]:
    store = LocalStore(tmp_path_factory.mktemp("data"))
    with serving(
        create_app(store, computing(limits={"answer_bytes": LIMIT}), Settings())
    ) as client:
        vector = net_bytes("(float[2] x) => (float[3] y) { y = MatMul(weight, x) }", WEIGHTS)
        for name, model in {**samples(), "vector": vector}.items():
            client.post("/nets", params={"name": name}, content=model)
        yield client


@pytest.mark.parametrize("kind", examples.REQUESTS)
def test_the_examples_of_the_page_are_true(http: AppClient, kind: Kind) -> None:
    response = http.post(f"/nets/chain/{kind}", json=examples.REQUESTS[kind])
    assert response.status_code == 200, response.text
    _same(response.json(), examples.ANSWERS[kind])


X, WEIGHT = [1, 2, 3, 4, 5], [[1, 0, 0], [0, 0, 0]]
TWO = [X, X]
WHOLE = {"dtype": "int8", "shape": [5], "data": "AQIDBAU="}
DOUBLE = as_object(np.array(X, np.float64))
# Kind, net, fields (with `data` X where they have none), and what is wrong where.
BAD = [
    # Stacks.
    ("gradient", "chain", {"output_gradients": {"Output": [[1, 0]] * 2, "hidden1": [[1] * 4] * 3},
     "stacked": True}, 422, "wrong_stack", "output_gradients.Output"),
    ("gradient", "chain", {"output_gradients": {"Output": [1, 0]}, "stacked": True}, 422,
     "wrong_seed_shape", "output_gradients.Output"),
    ("gradient", "chain", {"stacked": True}, 422, "wrong_stack", "stacked"),
    ("jvp", "chain", {"tangents": {"Input": [X], "layer3.bias": [[1, 0]] * 2}, "stacked": True},
     422, "wrong_stack", "tangents.Input"),
    ("gradient", "chain", {"output_gradients": {"Output": {"index": 0}}, "stacked": True}, 422,
     "invalid_class_seed", "output_gradients.Output"),
    # Class seeds.
    ("gradient", "chain", {"output_gradients": {"Output": {"index": 2}}}, 422,
     "index_out_of_range", "output_gradients.Output"),
    ("gradient", "chain", {"output_gradients": {"Output": {"index": -1}}}, 422,
     "index_out_of_range", "output_gradients.Output"),
    ("gradient", "chain", {"output_gradients": {"Output": {"at": [5]}}}, 422,
     "index_out_of_range", "output_gradients.Output"),
    ("gradient", "chain", {"output_gradients": {"Output": {"index": 0.5}}}, 422,
     "invalid_class_seed", "output_gradients.Output.index"),
    ("gradient", "chain", {"output_gradients": {"Output": {"index": "0"}}}, 422,
     "invalid_class_seed", "output_gradients.Output.index"),
    ("gradient", "chain", {"output_gradients": {"Output": {"index": None}}}, 422,
     "invalid_class_seed", "output_gradients.Output.index"),
    ("gradient", "chain", {"output_gradients": {"Output": {"index": 0, "at": [0]}}}, 422,
     "invalid_class_seed", "output_gradients.Output"),
    ("gradient", "chain", {"output_gradients": {"Output": {"at": [0, 0]}}}, 422,
     "invalid_class_seed", "output_gradients.Output"),
    ("gradient", "chain", {"data": TWO, "output_gradients": {"Output": {"index": [0, 1, 0]}}}, 422,
     "invalid_class_seed", "output_gradients.Output"),
    ("gradient", "chain", {"output_gradients": {"Output": {"class": 1}}}, 422,
     "invalid_class_seed", "output_gradients.Output"),
    ("gradient", "chain", {"output_gradients": {"Outptu": {"index": 0}}}, 422, "unknown_name",
     "output_gradients.Outptu"),
    # Overrides.
    ("evaluate", "chain", {"parameters": {"layer3.bias": [1, 2, 3]}}, 422,
     "wrong_parameter_shape", "parameters.layer3.bias"),
    ("evaluate", "chain", {"parameters": {"layer3.bais": [1, 2]}}, 422, "unknown_parameter",
     "parameters.layer3.bais"),
    ("evaluate", "chain", {"parameters": {"layer3.bias": ["a", "b"]}}, 422, "wrong_dtype",
     "parameters.layer3.bias"),
    ("evaluate", "chain", {"parameters": {"Input": X}}, 422, "unknown_parameter",
     "parameters.Input"),
    # Tangents.
    ("jvp", "chain", {"tangents": {}}, 422, "missing_tangents", "tangents"),
    ("hvp", "chain", {"tangents": {}}, 422, "missing_tangents", "tangents"),
    ("jvp", "chain", {"tangents": {"Inptu": X}}, 422, "unknown_name", "tangents.Inptu"),
    ("jvp", "chain", {"tangents": {"Input": [1, 2]}}, 422, "wrong_tangent_shape",
     "tangents.Input"),
    ("jvp", "chain", {"tangents": {"Input": 1}}, 422, "wrong_tangent_shape", "tangents.Input"),
    ("jvp", "chain", {"tangents": {"layer3.weight": [WEIGHT]}}, 422, "wrong_tangent_shape",
     "tangents.layer3.weight"),
    # Precision, reductions.
    ("evaluate", "chain", {"data": WHOLE, "precision": "float64"}, 422, "wrong_dtype", "Input"),
    ("evaluate", "chain", {"data": DOUBLE}, 422, "wrong_dtype", "Input"),
    ("gradient", "vector", {"data": [1, 2], "wrt": "weight", "reduction": "per_example"}, 422,
     "no_example_axis", "y"),
    ("gradient", "vector", {"data": [1, 2], "wrt": "weight", "reduction": "mean"}, 422,
     "no_example_axis", "y"),
    # Larger than an answer may be.
    ("hessian", "chain", {"wrt": "all"}, 413, "answer_too_large", "wrt"),
    ("jacobian", "chain", {"data": [X] * 200}, 413, "answer_too_large", "wrt"),
    ("gradient", "chain", {"output_gradients": {"Output": [[1, 0]] * 300}, "stacked": True}, 413,
     "answer_too_large", "wrt"),
    ("gradient", "chain", {"data": [X] * 200, "wrt": "parameters", "reduction": "per_example"}, 413,
     "answer_too_large", "wrt"),
    # What every kind refuses.
    ("jacobian", "chain", {"wrt": ["Inptu"]}, 422, "unknown_name", "wrt[0]"),
    ("hessian", "chain", {"of": "Outptu"}, 422, "unknown_name", "of"),
    ("hvp", "chain", {"tangents": {"Input": X}, "wrt": []}, 422, "empty_targets", "wrt"),
    ("jacobian", "chain", {"data": [1, 2]}, 422, "wrong_shape", "Input"),
    ("gradcheck", "chain", {"wrt": "Outptu"}, 422, "unknown_name", "wrt"),
    ("gradcheck", "chain", {"of": ["Input"]}, 422, "not_an_output", "of[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "net", "fields", "status", "code", "where"), BAD)
def test_calls_that_cannot_be_served(
    *, http: AppClient, kind: str, net: str, fields: Any, status: int, code: str, where: str
) -> None:
    response = http.post(f"/nets/{net}/{kind}", json={"data": X, **fields})
    problem = response.json()
    assert (response.status_code, problem["code"], problem.get("where")) == (status, code, where)
    assert problem["remedy"], problem


@pytest.mark.parametrize("kind", examples.REQUESTS)
def test_every_format_gives_the_same(http: AppClient, kind: Kind) -> None:
    fields = {**examples.REQUESTS[kind]}
    arrays = {name: np.float32(array) for name, array in fields.pop("data").items()}
    arrays |= {f"seed/{n}": np.float32(a) for n, a in fields.pop("output_gradients", {}).items()}
    arrays |= {f"tangent/{n}": np.float32(a) for n, a in fields.pop("tangents", {}).items()}
    arrays["layer1.bias"] = np.float32([1, 2, 3, 4])
    answers = []
    for fmt in FORMATS:
        sent = request(fmt, arrays, parameters=["layer1.bias"], **fields, encoding="base64")
        response = http.post(f"/nets/chain/{kind}", **sent)
        assert response.status_code == 200, response.text
        found, about = answer(fmt, response.content)
        about.pop("blocks", None)
        answers.append(({name: array.tobytes() for name, array in found.items()}, about))
    assert answers[0] == answers[1] == answers[2]
    assert bool(answers[0][0]) == (kind != "gradcheck")


DRAWS = "(float[4] x) => (float[4] y) { n = RandomNormalLike(x) y = Mul(n, x) }"


def test_a_call_that_draws_tells_its_seed(http: AppClient) -> None:
    http.post("/nets?name=draws", content=net_bytes(DRAWS))
    kinds: dict[str, dict[str, Any]] = {
        "evaluate": {},
        "gradient": {"outputs": True},
        "jvp": {"tangents": {"x": [1, 1, 1, 1]}, "outputs": True},
        "hvp": {"tangents": {"x": [1, 1, 1, 1]}, "outputs": True},
        "jacobian": {"outputs": True},
        "hessian": {"outputs": True},
    }
    seed, drawn = None, None
    for kind, fields in kinds.items():
        body = {"data": [1, 2, 3, 4], "random_seed": seed, **fields}
        found = http.post(f"/nets/draws/{kind}", json=body).json()
        seed = seed or found["random_seed"]
        drawn = drawn or found["outputs"]
        assert (found["random_seed"], found["outputs"]) == (seed, drawn)
    fresh = http.post("/nets/draws/evaluate", json={"data": [1, 2, 3, 4]}).json()
    assert fresh["random_seed"] != seed
    assert fresh["outputs"] != drawn


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_double_precision_takes(http: AppClient, dtype: Any) -> None:
    arrays = {"Input": dtype(X), "layer3.bias": dtype([0, 1]), "seed/Output": dtype([1, 2])}
    sent = request(NPZ, arrays, parameters=["layer3.bias"], precision="float64", outputs=True)
    found, _ = answer(NPZ, http.post("/nets/chain/gradient", **sent).content)
    assert {name: array.dtype.name for name, array in found.items()} == {
        "grad/Input": "float64", "Output": "float64",
    }  # fmt: skip
    wide = {**arrays, "Input": np.float64(X)}
    again = request(NPZ, wide, parameters=["layer3.bias"], precision="float64", outputs=True)
    assert (
        http.post("/nets/chain/gradient", **again).content
        == http.post("/nets/chain/gradient", **sent).content
    )


def _same(found: Any, shown: Any) -> None:
    """Equal but for the last digits of numbers."""
    if isinstance(shown, dict):
        assert found.keys() == shown.keys()
        for name, value in shown.items():
            _same(found[name], value)
    elif isinstance(shown, list):
        assert len(found) == len(shown)
        for one, other in zip(found, shown, strict=True):
            _same(one, other)
    else:
        assert found == (pytest.approx(shown, **CLOSE) if isinstance(shown, float) else shown)
