"""`net(data, properties)` as Wolfram's NetPortGradient has it, through the service."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portgrad_client import All, Gradients, InvalidRequestError, Net, NetPortGradient
from support.sdk import Scripted, answer, port

X = np.array([[1.0, 1.0], [-1.0, 2.0]])
# Both rows leave all three units of the hidden layer active, by weights 1..6 and biases -1, -2, -3.
INPUT = [[8.0, 10.0], [8.0, 10.0]]
PARAMETERS = ["layer1.weight", "layer1.bias", "layer2.weight"]


def test_no_property_gives_the_output(net: Net) -> None:
    assert net(X).tolist() == net.evaluate(X)["Output"].tolist()


def test_no_property_of_a_net_with_several_outputs_gives_a_mapping() -> None:
    outputs = [port("a"), port("b")]
    arrays = {"b": np.ones(1, np.float32), "a": np.zeros(1, np.float32)}
    assert list(Scripted(answer(arrays), outputs=outputs).net()([1.0, 2.0])) == ["a", "b"]


def test_a_name_gives_that_output_or_inner_value(net: Net) -> None:
    assert net(X, "Output").tolist() == net(X).tolist()
    assert net(X, "hidden").tolist() == [[2.0, 5.0, 8.0], [2.0, 3.0, 4.0]]


@pytest.mark.parametrize(
    ("port", "gradient"),
    [
        ("Input", INPUT),
        ("layer1.bias", [2.0, -2.0, 4.0]),
        (["layer1", "bias"], [2.0, -2.0, 4.0]),
        (("hidden", "C"), [2.0, -2.0, 4.0]),
        ("Output", [[1.0], [1.0]]),
    ],
)
def test_one_gradient(net: Net, port: Any, gradient: Any) -> None:
    assert net(X, NetPortGradient(port)).tolist() == gradient


def test_a_gradient_is_imposed_by_a_key_of_the_data(net: Net) -> None:
    imposed = {"Input": X, NetPortGradient("Output"): [[2.0], [-1.0]]}
    assert net(imposed, NetPortGradient("Input")).tolist() == [[16.0, 20.0], [-8.0, -10.0]]
    ones = {"Input": X, NetPortGradient("Output"): 1.0}
    assert net(ones, NetPortGradient("Input")).tolist() == INPUT


def test_all_is_a_mapping_of_every_port_and_parameter(net: Net) -> None:
    found = net(X, NetPortGradient(All))
    assert isinstance(found, Gradients)
    assert list(found) == ["Input", *PARAMETERS]
    assert found["Input"].tolist() == INPUT


def test_a_list_is_a_dict_keyed_by_what_was_asked(net: Net) -> None:
    asked = [NetPortGradient(["layer1", "bias"]), "Output", NetPortGradient("Input"), "hidden"]
    found = net(X, asked)
    assert list(found) == asked
    assert found["Output"].tolist() == net(X).tolist()
    assert found[NetPortGradient("Input")].tolist() == INPUT
    assert found[NetPortGradient(("layer1", "bias"))].tolist() == [2.0, -2.0, 4.0]


def test_all_beside_others(net: Net) -> None:
    found = net(X, [NetPortGradient("hidden"), NetPortGradient(All), "Output"])
    assert found[NetPortGradient("hidden")].tolist() == [[1.0, -1.0, 2.0]] * 2
    assert list(found[NetPortGradient(All)]) == ["Input", *PARAMETERS]
    assert found["Output"].shape == (2, 1)


def test_a_list_of_names_is_one_forward_pass(net: Net) -> None:
    assert list(net(X, ["hidden", "Output"])) == ["hidden", "Output"]


def test_everything_in_one_call() -> None:
    arrays = {"grad/Input": X, "grad/w": X, "Output": X}
    service = Scripted(answer(arrays, targets=["Input", "w"], none=[]))
    properties = [NetPortGradient("Input"), "Output", NetPortGradient(["a", "w"])]
    service.net()({"Input": X, NetPortGradient("Output"): X}, properties)
    assert service.options == {"wrt": ["Input", ["a", "w"]], "outputs": ["Output"]}
    assert service.arrays.keys() == {"Input", "seed/Output"}


@pytest.mark.parametrize(
    ("data", "properties", "code"),
    [
        ({"Input": X, NetPortGradient("Output"): 1.0}, None, "no_gradient_asked"),
        ({"Input": X, NetPortGradient("Output"): 1.0}, "Output", "no_gradient_asked"),
        ({"Input": X, NetPortGradient(["a", "b"]): 1.0}, None, "invalid_target"),
        ({NetPortGradient("Output"): 1.0}, NetPortGradient("Input"), "missing_port"),
        (X, 3, "invalid_target"),
        (X, ["Output", None], "invalid_target"),
    ],
)
def test_refused_before_it_is_sent(data: Any, properties: Any, code: str) -> None:
    service = Scripted()
    with pytest.raises(InvalidRequestError) as caught:
        service.net()(data, properties)
    assert caught.value.code == code
    assert service.requests == []


@pytest.mark.parametrize("port", [3, [], [["a"]], None, {"a"}])
def test_what_is_no_port(port: Any) -> None:
    with pytest.raises(InvalidRequestError):
        NetPortGradient(port)


def test_equal_and_hashable_by_what_they_name() -> None:
    path = NetPortGradient(["layer", 0, "weight"])
    assert path == NetPortGradient(("layer", "0", "weight"))
    assert len({path, NetPortGradient(("layer", "0", "weight")), NetPortGradient("layer")}) == 2
    assert NetPortGradient("a.b") != NetPortGradient(["a", "b"])


@pytest.mark.parametrize("port", ["Input", ["layer1", "weight"], All])
def test_the_representation_can_be_read_back(port: Any) -> None:
    given = NetPortGradient(port)
    assert eval(repr(given), {"NetPortGradient": NetPortGradient, "All": All}) == given
