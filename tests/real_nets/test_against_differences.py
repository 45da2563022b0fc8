"""Nets that other people made: gradients over HTTP against central differences in float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from portgrad_client import Client
from support import real_nets
from support.real_nets import ABSENT, REAL_NETS, Real, folder

pytestmark = pytest.mark.skipif(folder() is None, reason=ABSENT)

# float32 through up to a hundred layers; measured worst: 6e-6. A wrong rule errs by 0.1 or more.
CLOSE = 5e-5


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with real_nets.service() as client:
        yield client


@pytest.mark.parametrize("count", [1, 3], ids=["single", "batched"])
@pytest.mark.parametrize("real", REAL_NETS, ids=lambda real: real.file)
def test_gradients_agree_with_central_differences(client: Client, real: Real, count: int) -> None:
    """By the input, every parameter and a value inside, at random cotangents of the output."""
    where = folder()
    assert where is not None
    errors = real_nets.compared(client, where / real.file, real, count)
    assert {name: error for name, error in errors.items() if error > CLOSE} == {}


@pytest.mark.parametrize("real", REAL_NETS, ids=lambda real: real.file)
def test_a_batch_is_its_examples(client: Client, real: Real) -> None:
    where = folder()
    assert where is not None
    reference = real_nets.Reference(where / real.file)
    net = client.upload(where / real.file)
    inner = real_nets.inner_value(real, reference)
    point = real_nets.smooth_point(real, reference, 3)
    found, values = real_nets.gradients(net, reference, point, inner)
    alone = [
        real_nets.gradients(
            net, reference, real_nets.Point(point.x[i : i + 1], point.seed[i : i + 1], True), inner
        )
        for i in range(3)
    ]
    for name, gradient in found.items():
        each = [gradients[name] for gradients, _ in alone]
        total = name in reference.parameters
        expected = np.sum(each, axis=0) if total else np.concatenate(each)
        scale = float(np.abs(expected).max()) or 1.0
        # float32 sums in another order; a key's bias has 0 by cancellation: rounding of order one.
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=2e-5 * scale + 1e-6)
    np.testing.assert_allclose(
        values[inner], np.concatenate([v[inner] for _, v in alone]), rtol=1e-4, atol=1e-5
    )
