"""A call that is told to end: while it runs, between its runs, and while a session is opened."""

from __future__ import annotations

import threading
import time

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import portgrad
from portgrad.engine import stopping
from portgrad.engine.stopping import Stop
from portgrad.errors import DeadlineExceeded
from support.engine import engine_net

ENDLESS = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["" : 21]>
endless (float[2] x) => (float[2] y) {
    always = Constant<value = bool {1}>()
    most = Constant<value = int64 {9223372036854775807}>()
    y = Loop<body = step (int64 i, bool go, float[2] s) => (bool on, float[2] t) {
        on = Identity(go) t = Add(s, s)
    }>(most, always, x)
}""").SerializeToString()
X = np.ones(2, np.float32)


def test_a_run_ends_when_another_thread_says_so_and_the_net_lives_on() -> None:
    net, stop = portgrad.load(ENDLESS), Stop()
    timer = threading.Timer(0.2, stop.now)
    timer.start()
    start = time.perf_counter()
    with stop.running(), pytest.raises(DeadlineExceeded):
        net.evaluate(X)
    timer.join()
    assert stop.stage == "run"
    assert time.perf_counter() - start < 5
    good = engine_net("(float[2] x) => (float[2] y) { y = Neg(x) }")
    np.testing.assert_array_equal(good.evaluate(X)["y"], -X)


def test_what_was_told_to_end_begins_nothing() -> None:
    net, stop = engine_net("(float[2] x) => (float[2] y) { y = Neg(x) }"), Stop()
    stop.now()
    with stop.running(), pytest.raises(DeadlineExceeded):
        net.evaluate(X)
    np.testing.assert_array_equal(net.evaluate(X)["y"], -X)


def test_a_session_that_is_being_opened_is_given_up() -> None:
    stop, options = Stop(), ort.SessionOptions()
    with stop.running(), stopping.opening(options):
        stop.now()
        with pytest.raises(Exception, match=r"(?i)cancel"):
            ort.InferenceSession(ENDLESS, options, providers=["CPUExecutionProvider"])


def test_without_a_stop_nothing_is_asked() -> None:
    assert stopping.options() is None
    with stopping.opening(ort.SessionOptions()):
        stopping.entering("run")
