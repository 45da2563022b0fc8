"""The examples of NetPortGradient's reference page, through the service and the SDK."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from portgrad import samples
from portgrad_client import All, Client, Net, NetPortGradient

EXAMPLES = Path(__file__).parents[2] / "examples"
# One step of float32 rounding for each of a few products of numbers of order one.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def test_elementwise_ramp_is_flat_below_zero(client: Client) -> None:
    net = client.upload(samples.ramp(), name="ramp")
    x = np.array([-2.0, -0.5, 0.0, 0.5, 3.0], np.float32)
    np.testing.assert_array_equal(net(x, NetPortGradient("Input")), [0, 0, 0, 1, 1])


def test_random_linear_layer_agrees_with_a_naive_numeric_derivative(client: Client) -> None:
    net = client.upload(samples.linear(), name="linear")
    x = np.random.default_rng(2).standard_normal(4).astype(np.float32)

    def total(at: np.ndarray) -> float:
        return float(net(at).sum())

    # The layer is linear, so differences with step 1 are exact but for rounding.
    numeric = [total(x + step) - total(x) for step in np.eye(4, dtype=np.float32)]
    np.testing.assert_allclose(net(x, NetPortGradient("Input")), numeric, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "target", "sign"),
    [(0.2, 0.7, -1), (0.9, 0.7, 1), (0.7, 0.7, 0), (0.5, 0.5, 0)],
)
def test_cross_entropy_pulls_the_input_to_the_target(
    client: Client, given: float, target: float, sign: int
) -> None:
    net = client.upload(samples.cross_entropy(), name="cross-entropy")
    data = {"Input": np.array([given], np.float32), "Target": np.array([target], np.float32)}
    [gradient] = net(data, NetPortGradient("Input"))
    exact = (given - target) / (given * (1.0 - given))
    assert np.sign(round(float(gradient), 5)) == sign
    assert gradient == pytest.approx(exact, abs=1e-5)


@pytest.fixture(scope="module")
def chain(client: Client) -> Net:
    return client.upload(samples.chain(), name="chain")


def _weights(chain: Net) -> list[np.ndarray]:
    """The chain's weights, seen through its own gradients: it is linear in its input."""
    identity = np.eye(5, dtype=np.float32)
    zero = chain(np.zeros(5, np.float32))
    return [chain(row) - zero for row in identity]


def test_chain_of_linear_layers_by_position(chain: Net) -> None:
    x = np.arange(1.0, 6.0, dtype=np.float32)
    weight = chain(x, NetPortGradient(["layer1", "weight"]))
    bias = chain(x, NetPortGradient(["layer1", "bias"]))
    gradient = chain(x, NetPortGradient("Input"))
    assert (weight.shape, bias.shape, gradient.shape) == ((4, 5), (4,), (5,))
    # Of W x + b, what reaches b reaches W times x.
    np.testing.assert_allclose(weight, np.outer(bias, x), **CLOSE)
    np.testing.assert_allclose(
        gradient, [row.sum() for row in _weights(chain)], rtol=1e-4, atol=1e-5
    )


def test_chain_with_an_imposed_output_gradient(chain: Net) -> None:
    x, g = np.arange(1.0, 6.0, dtype=np.float32), np.array([2.0, -1.0], np.float32)
    gradient = chain({"Input": x, NetPortGradient("Output"): g}, NetPortGradient("Input"))
    np.testing.assert_allclose(gradient, [row @ g for row in _weights(chain)], rtol=1e-4, atol=1e-5)


def test_chain_with_everything_in_one_call(chain: Net) -> None:
    x = np.arange(1.0, 6.0, dtype=np.float32)
    asked = [NetPortGradient("Input"), NetPortGradient(["layer1", "weight"]), "Output"]
    found = chain(x, asked)
    assert list(found) == asked
    for item in asked:
        np.testing.assert_array_equal(found[item], chain(x) if item == "Output" else chain(x, item))
    everything = chain(x, NetPortGradient(All))
    parameters = [f"layer{i}.{kind}" for i in (1, 2, 3) for kind in ("weight", "bias")]
    assert list(everything) == ["Input", *parameters]


def test_red_channel_after_pooling_as_a_picture(client: Client, tmp_path: Path) -> None:
    example = runpy.run_path(str(EXAMPLES / "red_channel.py"))
    scene = example["scene"]()
    gradient = example["gradient_of"](client.upload(samples.red(), name="red"), scene)
    pixels = example["as_input"](scene)
    assert gradient.shape == pixels.shape
    assert not gradient[0, 1:].any(), "green and blue do not matter"
    height, width = pixels.shape[2:]
    windows = gradient[0, 0].reshape(height // 4, 4, width // 4, 4).swapaxes(1, 2)
    np.testing.assert_array_equal(windows.sum(axis=(2, 3)), 1.0)
    chosen = pixels[0, 0][gradient[0, 0] == 1.0]
    greatest = pixels[0, 0].reshape(height // 4, 4, width // 4, 4).max(axis=(1, 3))
    np.testing.assert_allclose(np.sort(chosen), np.sort(greatest.ravel()), rtol=0)
    picture = example["rendered"](gradient)
    picture.save(tmp_path / "gradient.png")
    colours = {colour for _, colour in picture.getcolors(maxcolors=16)}
    assert colours == {(0, 0, 0), (255, 0, 0)}


def test_default_gradient_is_that_of_imposed_ones(chain: Net) -> None:
    x = np.arange(5.0, dtype=np.float32)
    default = chain(x, NetPortGradient("Input"))
    ones = chain({"Input": x, NetPortGradient("Output"): [1.0, 1.0]}, NetPortGradient("Input"))
    twice = chain({"Input": x, NetPortGradient("Output"): [2.0, 2.0]}, NetPortGradient("Input"))
    first = chain({"Input": x, NetPortGradient("Output"): [1.0, 0.0]}, NetPortGradient("Input"))
    second = chain({"Input": x, NetPortGradient("Output"): [0.0, 1.0]}, NetPortGradient("Input"))
    np.testing.assert_array_equal(ones, default)
    np.testing.assert_allclose(twice, 2.0 * default, **CLOSE)
    np.testing.assert_allclose(first + second, default, **CLOSE)
    assert not np.allclose(first, default, atol=1e-3)


def test_batch_totals_parameters_and_keeps_inputs_apart(chain: Net) -> None:
    batch = np.random.default_rng(6).standard_normal((3, 5)).astype(np.float32)
    weight = NetPortGradient(["layer1", "weight"])
    apart = chain(batch, NetPortGradient("Input"))
    assert apart.shape == (3, 5)
    for row, example in zip(apart, batch, strict=True):
        np.testing.assert_allclose(row, chain(example, NetPortGradient("Input")), **CLOSE)
    total = sum(chain(example, weight) for example in batch)
    np.testing.assert_allclose(chain(batch, weight), total, rtol=1e-5, atol=1e-5)
