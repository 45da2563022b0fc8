"""The search for garbage pauses while somebody is inside, and is afterwards what it was before."""

from __future__ import annotations

import gc

import pytest

from portgrad.graph.searching import Pause


def test_the_last_to_leave_resumes_it() -> None:
    pause = Pause()
    with pause:
        with pytest.raises(ValueError, match="inside"), pause:
            raise ValueError("inside")
        assert not gc.isenabled()
    assert gc.isenabled()


def test_who_switched_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with Pause():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
