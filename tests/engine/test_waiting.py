"""How threads wait for work: for a while in a library, and not beyond a run; not in a worker."""

from __future__ import annotations

from typing import NoReturn

import onnxruntime as ort
import pytest

from portgrad.compute import worker
from portgrad.compute.config import WorkerConfig
from portgrad.engine import waiting

LOOKS, STOPS = "session.intra_op.allow_spinning", "session.force_spinning_stop"


def _shared_out() -> ort.SessionOptions:
    options = ort.SessionOptions()
    waiting.share_out(options, 2)
    return options


def test_threads_look_for_work_until_their_run_ends() -> None:
    options = _shared_out()
    assert options.intra_op_num_threads == 2
    assert [options.get_session_config_entry(key) for key in (LOOKS, STOPS)] == ["1", "1"]


def test_threads_of_a_worker_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reached(Exception): ...

    def reached(*_: object) -> NoReturn:
        raise Reached

    monkeypatch.setattr(waiting._way, "entries", waiting._way.entries)  # as it was, afterwards
    monkeypatch.setattr(worker, "_Watch", reached)
    with pytest.raises(Reached):
        worker.serve(None, None, WorkerConfig(), ())  # type: ignore[arg-type]
    assert _shared_out().get_session_config_entry(LOOKS) == "0"
