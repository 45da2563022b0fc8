"""A gradient that comes out in another shape than its target has is refused, never given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from portgrad.engine.plan import Compiled, Plan
from portgrad.errors import RunFailed


@pytest.mark.parametrize("target", ["x", "w"])
def test_another_shape_than_the_target_s_is_refused(target: str) -> None:
    found = [np.zeros((5, 3), np.float32)]
    session = SimpleNamespace(run=lambda feeds, check, _: check(feeds, found) or found)
    compiled = Compiled(Plan(wrt=(target,)), cast(Any, session), (), {"w": (1, 3)})
    with pytest.raises(RunFailed) as refused:
        compiled.run({"x": np.zeros((1, 3), np.float32)}, {})
    error = refused.value
    assert (error.code, error.where) == ("wrong_gradient_shape", target)
    assert (error.expected, error.found) == ("(1, 3)", "(5, 3)")
