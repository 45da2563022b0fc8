"""Accept, as RFC 9110 reads it."""

from __future__ import annotations

import pytest

from portgrad.api.media import negotiate
from portgrad.api.problems import NotAcceptable

OFFERS = ("application/json", "application/x-npz")

CHOICES = [
    (None, 0),
    ("", 0),
    (" , ", 0),
    ("*/*", 0),
    ("application/*", 0),
    ("application/x-npz", 1),
    ("Application/X-NPZ", 1),
    ("application/json, application/x-npz", 0),
    ("application/json;q=0.5, application/x-npz", 1),
    ("application/json; q=0.5, */*;q=0.6", 1),
    ("application/json;q=0, */*", 1),
    ("application/json;q=0, application/*;q=0.1", 1),
    ("text/html, application/x-npz;q=0.001", 1),
    ("application/json;version=1", 0),
    ("application/x-npz;q=1.000", 1),
]


@pytest.mark.parametrize(("accept", "choice"), CHOICES)
def test_choices(accept: str | None, choice: int) -> None:
    assert negotiate(accept, OFFERS) == OFFERS[choice]


@pytest.mark.parametrize(
    "accept",
    ["text/html", "*/*;q=0", "application/json;q=nan", "application/json;q=2", "text/*", "json"],
)
def test_nothing_fits(accept: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept, OFFERS)
    assert caught.value.expected == "application/json, application/x-npz"
    assert caught.value.found == accept
