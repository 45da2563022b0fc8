"""An npz that is too much: refused before it is unfolded, and written without a lie."""

from __future__ import annotations

import io

import numpy as np
import pytest

from portgrad.codecs import npz
from portgrad.codecs.bounds import Bounds
from portgrad.errors import LimitExceeded
from torture.bombs.bodies import npz_bomb


def test_what_unfolds_to_too_much_is_refused_before_it_counts() -> None:
    bounds = Bounds(size=2**19, depth=9, arrays=9, elements=9)
    with pytest.raises(LimitExceeded) as caught:
        list(npz.weigh(npz_bomb(1), bounds))
    assert caught.value.code == "body_too_large"


def test_want_of_memory_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(io.BytesIO):
        def write(self, data: object) -> int:
            if len(data) > 1000:  # type: ignore[arg-type]
                self.close()  # as one that cannot grow does
                raise MemoryError
            return super().write(data)  # type: ignore[arg-type]

    monkeypatch.setattr(npz.io, "BytesIO", Short)
    with pytest.raises(MemoryError):
        npz.write({"x": np.zeros(1_000_000)}, b"{}")
