"""Every derivative of five nets in float64 against torch.func: vmap, jacrev, hessian, jvp, vjp.

What torch.func says is kept in tests/data; where torch is installed it is asked again.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import portgrad
from support.engine import engine_net
from support.torch_func import COUNT, DATA, TWINS, Array, floating, references, seeds, tangents

# Relative to the largest element of each array.
TOLERANCE = 1e-10
DOUBLE: dict[str, Any] = {"precision": "float64"}


@functools.cache
def net(name: str) -> portgrad.Net:
    return engine_net(TWINS[name].body, TWINS[name].weights)


@functools.cache
def kept(name: str) -> Mapping[str, Array]:
    with np.load(DATA) as data:
        return {k.partition("|")[2]: data[k] for k in data.files if k.partition("|")[0] == name}


def apart(name: str) -> dict[str, Any]:
    """A net with subgraphs is not proven to keep examples apart: these are run one by one."""
    return {**DOUBLE, "batch": "each"} if name == "control flow" else DOUBLE


def check(found: Mapping[str, Array], name: str, prefix: str) -> None:
    expected = {k.partition("/")[2]: a for k, a in kept(name).items() if k.startswith(prefix + "/")}
    assert expected.keys() == set(found)
    for key, array in expected.items():
        agree(found[key], array, f"{prefix} {key}")


def agree(found: Array, expected: Array, what: str) -> None:
    assert found.dtype == np.float64, what
    assert found.shape == expected.shape, what
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < TOLERANCE, f"{what}: {error}"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("name", TWINS)
def test_what_is_kept_is_what_torch_says(name: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed: the kept references stand alone")
    for key, array in references(TWINS[name]).items():
        np.testing.assert_allclose(kept(name)[key], array, rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_jacobians_by_example(name: str, direction: str) -> None:
    twin, weights = TWINS[name], list(floating(TWINS[name]))
    wrt = ["x", *weights] if direction == "reverse" else ["x", weights[-1]]
    found = net(name).jacobian(twin.draw(10, COUNT), wrt=wrt, direction=direction, **apart(name))
    assert found.per_example
    for key in wrt:
        agree(found["y"][key], kept(name)[f"jacobian/{key}"], key)


@pytest.mark.parametrize("name", TWINS)
def test_hessians_by_example_are_torch_s_and_symmetric(name: str) -> None:
    twin = TWINS[name]
    found = net(name).hessian(
        twin.draw(10, COUNT), output_gradients={"y": seeds(twin, 12, COUNT)}, **apart(name)
    )
    block = found["x"]["x"]
    agree(block, kept(name)["hessian/x"], "hessian")
    flat = block.reshape(COUNT, int(np.prod(twin.example)), -1)
    agree(flat, flat.transpose(0, 2, 1), "symmetry")


@pytest.mark.parametrize("name", TWINS)
def test_gradients_of_parameters_by_example(name: str) -> None:
    twin = TWINS[name]
    found = net(name).gradient(
        twin.draw(10, COUNT),
        wrt=list(floating(twin)),
        output_gradients={"y": seeds(twin, 12, COUNT)},
        reduction="per_example",
        **apart(name),
    )
    check(found, name, "by example")


@pytest.mark.parametrize("name", TWINS)
def test_products_with_tangents_at_inputs_and_parameters(name: str) -> None:
    twin, data = TWINS[name], TWINS[name].draw(10, COUNT)
    pushed = net(name).jvp(data, tangents=tangents(twin), outputs=True, **DOUBLE)
    agree(pushed["y"], kept(name)["jvp"], "jvp")
    agree(pushed.outputs["y"], kept(name)["y"], "y")
    seed = {"y": seeds(twin, 12, COUNT)}
    bent = net(name).hvp(data, tangents=tangents(twin), output_gradients=seed, **DOUBLE)
    check(bent, name, "hvp")


@pytest.mark.parametrize("name", TWINS)
def test_many_cotangents(name: str) -> None:
    twin = TWINS[name]
    found = net(name).gradient(
        twin.draw(10, COUNT),
        wrt=["x", *floating(twin)],
        output_gradients={"y": seeds(twin, 13, COUNT, COUNT)},
        stacked=True,
        **DOUBLE,
    )
    check(found, name, "stacked")
