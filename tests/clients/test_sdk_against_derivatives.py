"""Every derivative through the SDK and the application itself, against what is done by hand.

Both examples leave the three hidden units of the net active, so that it is Output = W2 (W1 x + b).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import portgrad_client as sdk
from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from portgrad_client import Client, Net
from support.computing import computing
from support.engine import net_bytes
from support.http import serving
from support.sdk import ADDRESS, layers, pool

X = np.array([[1.0, 1.0], [-1.0, 2.0]])
W1 = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
W2 = [[1.0, -1.0, 2.0]]
SLOPE = [8.0, 10.0]  # W2 W1
ACTIVE = [[2.0, 5.0, 8.0], [2.0, 3.0, 4.0]]


def test_a_stack_of_seeds(net: Net) -> None:
    seeds = {"Output": [[[1.0], [1.0]], [[2.0], [-1.0]]]}
    outputs, found = net.value_and_gradient(X, output_gradients=seeds, stacked=True)
    assert found["Input"].tolist() == [[SLOPE, SLOPE], [[16.0, 20.0], [-8.0, -10.0]]]
    assert outputs["Output"].shape == (2, 1)


@pytest.mark.parametrize("chosen", [{"index": 0}, {"index": [0, 0]}, {"at": [0]}])
def test_a_class(net: Net, chosen: dict[str, Any]) -> None:
    found = net.gradient(X, output_gradients={"Output": chosen})
    assert found["Input"].tolist() == [SLOPE, SLOPE]


def test_a_class_beside_a_seed_and_in_a_stack(net: Net) -> None:
    imposed = {"Output": {"index": [0, 0]}, "active": np.zeros((2, 2, 3), np.float32)}
    found = net.gradient(X, output_gradients=imposed, stacked=True)
    assert found["Input"].tolist() == [[SLOPE, SLOPE]] * 2
    with pytest.raises(sdk.UnprocessableError) as caught:
        net.gradient(X, output_gradients={"Output": {"index": 1}})
    assert caught.value.code == "index_out_of_range"


@pytest.mark.parametrize(
    ("reduction", "gradient"),
    [
        (None, [[4.0, 8.0, 12.0]]),
        ("sum", [[4.0, 8.0, 12.0]]),
        ("mean", [[2.0, 4.0, 6.0]]),
        ("per_example", [[row] for row in ACTIVE]),
    ],
)
def test_reductions(net: Net, reduction: str | None, gradient: Any) -> None:
    found = net.gradient(X, wrt=["layer2.weight", "Input"], reduction=reduction)
    assert found["layer2.weight"].tolist() == gradient
    assert found["Input"].tolist() == [SLOPE, SLOPE]


def test_parameters_of_one_call(net: Net) -> None:
    found = net.gradient(X, parameters={"layer2.weight": [[1, 1, 1]]})
    assert found["Input"].tolist() == [[9.0, 12.0]] * 2
    outputs = net.evaluate(X, parameters={"layer2.weight": np.zeros((1, 3))})
    assert outputs["Output"].tolist() == [[0.0], [0.0]]
    assert net.gradient(X)["Input"].tolist() == [SLOPE, SLOPE]


def test_a_jvp(net: Net) -> None:
    moved = net.jvp(X, tangents={"Input": np.ones((2, 2))}, of=["hidden", "Output"], outputs=True)
    assert list(moved) == ["Output", "hidden"]
    assert moved["Output"].tolist() == [[18.0], [18.0]]
    assert moved["hidden"].tolist() == [[3.0, 7.0, 11.0]] * 2
    assert moved.outputs["Output"].tolist() == [[13.0], [7.0]]
    stack = {"layer2.weight": np.eye(3)[:, None]}
    stacked = net.jvp(X, tangents=stack, stacked=True)
    assert stacked["Output"][..., 0].tolist() == np.transpose(ACTIVE).tolist()


def test_an_hvp(net: Net) -> None:
    direction = {"layer2.weight": np.ones((1, 3))}
    mixed = net.hvp(X, tangents=direction, wrt="Input")
    assert mixed["Input"].tolist() == [[9.0, 12.0]] * 2
    assert mixed.targets == ("Input",)
    same = net.hvp(X, tangents=direction)
    assert same["layer2.weight"].tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("direction", [None, "forward", "reverse"])
def test_a_jacobian(net: Net, direction: str | None) -> None:
    found = net.jacobian(X, wrt=["Input", "layer2.weight"], direction=direction, outputs=True)
    assert found.per_example
    assert found.direction in {"forward", "reverse"}
    assert direction in (None, found.direction)
    assert found["Output"]["Input"].tolist() == [[SLOPE], [SLOPE]]
    assert found["Output"]["layer2.weight"].tolist() == [[[row]] for row in ACTIVE]
    assert found.outputs["Output"].tolist() == [[13.0], [7.0]]


def test_a_jacobian_of_whole_arrays(net: Net) -> None:
    found = net.jacobian(X, batch="as_is")
    assert not found.per_example
    assert found["Output"]["Input"].shape == (2, 1, 2, 2)
    assert found["Output"]["Input"][0, 0].tolist() == [SLOPE, [0.0, 0.0]]


def test_a_hessian(net: Net) -> None:
    found = net.hessian(X, wrt=["Input", "layer2.weight"])
    assert found["Input"]["Input"].tolist() == np.zeros((2, 2, 2)).tolist()
    assert found["layer2.weight"]["Input"].tolist() == [[W1], [W1]]
    assert found["Input"]["layer2.weight"][0, :, 0].tolist() == np.transpose(W1).tolist()


def test_double_precision(net: Net) -> None:
    third = np.full((1, 2), 1 / 3)
    outputs, found = net.value_and_gradient(
        third, precision="float64", parameters={"layer1.bias": [1 / 3, 1, 1]}
    )
    assert found["Input"].dtype == outputs["Output"].dtype == np.float64
    hidden = np.array(W1) @ third[0] + [1 / 3, 1, 1]
    np.testing.assert_allclose(outputs["Output"], [W2 @ hidden], rtol=1e-15)


NOISE = """(float[N] x) => (float[N] y) <float ratio = {0.5}, bool training = {1}> {
    y = Dropout(x, ratio, training) }"""


def test_a_random_seed_is_told_and_draws_the_same_again(client: Client) -> None:
    net = client.upload(net_bytes(NOISE))
    ones = np.ones(64, np.float32)
    outputs, found = net.value_and_gradient(ones, mode="train")
    assert outputs["y"].tolist() == found["x"].tolist()
    assert set(outputs["y"]) == {0.0, 2.0}
    assert found.random_seed is not None
    again = net.gradient(ones, mode="train", random_seed=found.random_seed)
    assert again["x"].tolist() == found["x"].tolist()
    assert again.random_seed == outputs.random_seed == found.random_seed


@pytest.mark.parametrize(
    ("call", "options", "code"),
    [
        ("gradient", {"mode": "sideways"}, "invalid_field"),
        ("gradient", {"precision": "float8"}, "invalid_field"),
        ("gradient", {"reduction": "median"}, "invalid_field"),
        ("jacobian", {"direction": "sideways"}, "invalid_field"),
        ("jvp", {"tangents": {}}, None),
        ("jvp", {"tangents": {"Imput": X}}, "unknown_name"),
        ("hvp", {"tangents": {"hidden": np.ones((1, 2, 2))}, "stacked": True}, None),
        (
            "gradient",
            {"output_gradients": {"Output": np.ones((3, 2, 2))}, "stacked": True},
            "wrong_seed_shape",
        ),
        (
            "hvp",
            {"tangents": {"Input": [X], "layer1.bias": np.ones((2, 3))}, "stacked": True},
            "wrong_stack",
        ),
    ],
)
def test_refused_by_the_service(
    net: Net, call: str, options: dict[str, Any], code: str | None
) -> None:
    with pytest.raises(sdk.UnprocessableError) as caught:
        getattr(net, call)(X, **options)
    assert code is None or caught.value.code == code


def test_diagnostics(net: Net) -> None:
    found = net.gradient([[1.0, 1.0], [-9.0, -9.0]], diagnostics=True)
    assert found.diagnostics is not None
    told = found.diagnostics["targets"]["Input"]
    assert (told["zero"], told["examples"]["zero"]) == (False, [1])
    assert found.diagnostics["forward"] == {"nan": None, "infinite": None}
    assert net.gradient(X).diagnostics is None


def test_what_would_be_too_large_is_refused_before_it_is_computed(tmp_path: Path) -> None:
    compute = computing(limits={"answer_bytes": 60})
    with serving(create_app(LocalStore(tmp_path), compute, Settings())) as app:
        net = Client(ADDRESS, http_client=pool(app)).upload(layers())
        assert net.jacobian(X)["Output"]["Input"].nbytes < 60
        with pytest.raises(sdk.TooLargeError) as caught:
            net.jacobian(X, wrt="parameters")
    assert caught.value.status == 413
    assert "60" in str(caught.value)
