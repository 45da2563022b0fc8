"""Answers as they come, piece by piece."""

from __future__ import annotations

import os

import httpx
import pytest

from portgrad_client import memory
from portgrad_client.incoming import MOST_HEAD_BYTES, Incoming
from support.http_answers import ANSWER, WHOLE


def test_a_head_has_an_end() -> None:
    answer = Incoming()
    line = b"a: %s\r\n" % (b"b" * 994)
    answer.feed(b"HTTP/1.1 200 OK\r\n" + line * (MOST_HEAD_BYTES // len(line) - 1))
    with pytest.raises(httpx.RemoteProtocolError, match="too large"):
        answer.feed(line * 2)


def test_an_answer_however_it_is_cut() -> None:
    """Byte by byte, and in every two pieces."""
    for written in WHOLE:
        for cut in [None, *range(1, len(written), 7)]:
            answer = Incoming()
            first = [written[:cut], written[cut:]] if cut else [bytes([one]) for one in written]
            for piece in first:
                answer.feed(piece)
            assert (answer.whole, answer.kept, answer.status) == (True, True, 200)
            assert bytes(answer.body) == ANSWER


@pytest.mark.parametrize("pages", [True, False], ids=["large pages", "none"])
@pytest.mark.parametrize("size", [2**21 - 1, 2**21, 2**21 + 1, 5_000_000])
def test_a_large_body_of_known_length(
    size: int, pages: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_HAS_HUGE", pages and memory._HAS_HUGE)
    sent, answer = os.urandom(size), Incoming()
    answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + sent[:1000])
    while not answer.whole:
        place = answer.place[:700_000]
        place[:] = sent[size - len(answer.place) :][: len(place)]
        answer.filled(len(place))
    assert answer.body == sent
    assert not memoryview(answer.body).readonly
