"""Calls over connections of the client's own: HTTP as servers write it, and what goes wrong."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from portgrad_client import Client, ConnectionFailedError, ServerError, TimedOutError, connections
from portgrad_client.connections import Connections
from portgrad_client.connections import connections as connections_to
from portgrad_client.transport import Transport
from support.formats import SAFETENSORS
from support.http_answers import ANSWER, WHOLE, X, good
from support.sdk import description


class Server:
    """Answers the requests of each connection from a list; keeps what came.

    An answer is what is sent, or a function that is given the socket.
    """

    def __init__(self, *answers: bytes | Callable[[socket.socket], None], **options: Any) -> None:
        self.answers, self.context = list(answers), options.get("context")
        self.came: list[bytes] = []
        self.opened = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            self.opened += 1
            threading.Thread(target=self._secured, args=(one,), daemon=True).start()

    def _secured(self, one: socket.socket) -> None:
        with one, suppress(ssl.SSLError, ConnectionError):
            if self.context is None:
                self._serve(one)
            else:
                with self.context.wrap_socket(one, True) as wrapped:
                    self._serve(wrapped)

    def _serve(self, kept: socket.socket) -> None:
        while self.answers and (came := read(kept)):
            self.came.append(came)
            following = self.answers.pop(0)
            if callable(following):
                following(kept)
                return
            kept.sendall(following)

    def close(self) -> None:
        self._listening.close()


def read(kept: socket.socket) -> bytes:
    """One request, whose body has a length."""
    came = b""
    while b"\r\n\r\n" not in came:
        some = kept.recv(65536)
        if not some:
            return b""
        came += some
    head, _, body = came.partition(b"\r\n\r\n")
    told = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    size = int(told[b"Content-Length"])
    while len(body) < size:
        body += kept.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def server(*answers: Any, **options: Any) -> Iterator[Server]:
    one = Server(*answers, **options)
    try:
        yield one
    finally:
        one.close()


def gradient(url: str, **options: Any) -> np.ndarray:
    """That of a net that needs no request to be known."""
    client = Client(url, max_retries=0, **options)
    with client:
        return net_of(client).gradient(X)["Input"]


def net_of(client: Client) -> Any:
    from portgrad_client import Net

    return Net(client._transport, description())


def certificate(folder: Path) -> Path:
    """A file with the key and certificate of localhost, which nobody else has signed."""
    file = folder / "localhost.pem"
    if not file.exists():
        key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
        today = datetime.now(UTC)
        signed = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(today - timedelta(1))
            .not_valid_after(today + timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), True)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        file.write_bytes(private + signed.public_bytes(pem))
    return file


LAST = [
    good(head=b"Connection: close"),
    good().replace(b"HTTP/1.1", b"HTTP/1.0"),
    good().partition(b"content-length")[0] + b"\r\n" + ANSWER,
]
NO_ANSWER = [
    b"",
    b"HTTP/2 200 OK\r\n\r\n",
    b"SSH-2.0-OpenSSH\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nz\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20000,
    good()[:-1],
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + good(),
    good(head=b"content-length: 3"),
    good(head=b"Transfer-Encoding: chunked"),
]


@pytest.mark.parametrize("written", WHOLE)
def test_an_answer_however_it_is_written_and_its_connection_is_kept(written: bytes) -> None:
    with server(written, written) as one, Client(f"http://127.0.0.1:{one.port}") as client:
        net = net_of(client)
        for _ in range(2):
            assert np.array_equal(net.gradient(X)["Input"], X)
    assert one.opened == 1
    assert len(one.came) == 2


@pytest.mark.parametrize("written", LAST)
def test_a_connection_that_ends_is_not_used_again(written: bytes) -> None:
    def last(kept: socket.socket) -> None:
        kept.sendall(written)

    with server(last, last) as one, Client(f"http://127.0.0.1:{one.port}") as client:
        net = net_of(client)
        for _ in range(2):
            assert np.array_equal(net.gradient(X)["Input"], X)
    assert one.opened == 2


@pytest.mark.parametrize("written", NO_ANSWER)
def test_what_is_no_answer(written: bytes) -> None:
    with server(lambda kept: kept.sendall(written)) as one:
        with pytest.raises(ConnectionFailedError) as caught:
            gradient(f"http://127.0.0.1:{one.port}")
        assert not isinstance(caught.value, TimedOutError)


def test_what_nobody_asked_for_ends_a_connection() -> None:
    with server(good() + b"more" * 10_000, good()) as one:
        with Client(f"http://127.0.0.1:{one.port}") as client:
            net = net_of(client)
            net.gradient(X)
            one_more = threading.Thread(target=net.gradient, args=(X,))
            one_more.start()
            one_more.join(10)
        assert one.opened == 2


def test_the_request_is_as_httpx_would_have_it() -> None:
    with server(good(), good()) as one:
        url = f"http://127.0.0.1:{one.port}/below"
        gradient(url, api_key="pg_secret")
        with httpx.Client() as http:
            gradient(url, api_key="pg_secret", http_client=http)
    ours, theirs = (came.partition(b"\r\n\r\n") for came in one.came)
    assert ours[2] == theirs[2]
    head, other = (part[0].split(b"\r\n") for part in (ours, theirs))
    assert head[0] == other[0]
    assert head[0].startswith(f"POST /below/nets/{description()['id']}/gradient".encode())
    told, others = (dict(line.lower().split(b": ", 1) for line in h[1:]) for h in (head, other))
    assert told.keys() == others.keys() - {b"accept-encoding", b"connection"}
    same = told.keys() - {b"x-request-id"}
    assert {name: told[name] for name in same} == {name: others[name] for name in same}


def test_errors_are_those_that_httpx_reads(pauses: list[float]) -> None:
    problem = json.dumps({"code": "busy", "detail": "Not now."}).encode()
    busy = good(problem, b"Retry-After: 3", b"503 Busy").replace(
        SAFETENSORS.encode(), b"application/problem+json"
    )
    with server(busy, good()) as one, Client(f"http://127.0.0.1:{one.port}") as client:
        net_of(client).gradient(X)
        assert pauses == [3.0]
    with server(busy) as one, pytest.raises(ServerError, match=r"Not now.*503, busy"):
        gradient(f"http://127.0.0.1:{one.port}")


def test_a_slow_answer_is_late_and_not_asked_for_again() -> None:
    late = threading.Event()
    with server(lambda _: late.wait(10) and None) as one:
        with pytest.raises(TimedOutError):
            gradient(f"http://127.0.0.1:{one.port}", timeout=0.05)
        late.set()


def test_who_refuses_a_body_before_it_came_is_heard() -> None:
    """The service answers 413, and hangs up, while the body is still on its way."""
    refusal = good(b"{}", b"Connection: close", b"413 Too Large")

    def refuse(kept: socket.socket) -> None:
        kept.sendall(refusal)
        kept.shutdown(socket.SHUT_RDWR)

    class Early(Server):
        def _serve(self, kept: socket.socket) -> None:
            refuse(kept)
            self.answers.clear()

    one = Early(b"")
    try:
        pool = Connections(httpx.URL(f"http://127.0.0.1:{one.port}"))
        received = pool.post("/", {}, [bytes(50_000_000)], httpx.Timeout(5))
        assert received.status == 413
    finally:
        one.close()


def test_nobody_listens() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionFailedError, match="refused"):
            gradient(f"http://127.0.0.1:{deaf.getsockname()[1]}")
    with pytest.raises(ConnectionFailedError):
        gradient(f"http://{'a' * 70}.invalid")


def test_a_header_or_path_cannot_hold_another_request() -> None:
    with server() as one:
        pool = Connections(httpx.URL(f"http://127.0.0.1:{one.port}"))
        for target, headers in (("/a\r\nb", {}), ("/", {"X": "a\nb"}), ("/é", {})):
            with pytest.raises(httpx.LocalProtocolError):
                pool.post(target, headers, [b""], httpx.Timeout(1))
    assert not one.came


def test_threads_have_connections_of_their_own() -> None:
    both = threading.Barrier(2, timeout=10)

    def together(kept: socket.socket) -> None:
        both.wait()
        kept.sendall(good())

    one = Server(together, together)
    with Client(f"http://127.0.0.1:{one.port}") as client:
        net = net_of(client)
        calls = [threading.Thread(target=net.gradient, args=(X,)) for _ in range(2)]
        for call in calls:
            call.start()
        for call in calls:
            call.join(10)
    one.close()
    assert one.opened == 2


def test_over_tls_the_certificate_is_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    with server(lambda _: None, context=context) as one, pytest.raises(ConnectionFailedError):
        gradient(f"https://localhost:{one.port}")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate(tmp_path)))
    with server(good(), context=context) as one:
        assert np.array_equal(gradient(f"https://localhost:{one.port}"), X)


@pytest.mark.parametrize(
    ("address", "proxies"),
    [
        ("http://ann:secret@localhost", {}),
        ("http://localhost", {"https": "http://proxy:3128"}),
        ("http://[::1", {}),
        ("http://", {}),
    ],
)
def test_what_only_httpx_does_is_left_to_it(
    address: str, proxies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "getproxies", lambda: proxies)
    assert connections_to(address) is None


def test_after_a_cookie_httpx_sends_all() -> None:
    answers = (good(head=b"Set-Cookie: to=me"), good())
    with server(*answers) as one, Client(f"http://127.0.0.1:{one.port}") as client:
        net = net_of(client)
        net.gradient(X)
        net.gradient(X)
    assert b"Cookie: to=me" not in one.came[0]
    assert b"Cookie: to=me" in one.came[1]


def test_a_coded_answer_is_read_by_httpx() -> None:
    import gzip

    packed = good(gzip.compress(ANSWER), b"Content-Encoding: gzip")
    with server(packed) as one:
        assert np.array_equal(gradient(f"http://127.0.0.1:{one.port}"), X)


def test_a_callers_pool_sends_all() -> None:
    with httpx.Client() as http:
        transport: Transport = Client("http://localhost", http_client=http)._transport
        assert transport.direct is None


def test_a_small_request_comes_in_one_piece() -> None:
    """A head that came before its body would wake the service up twice."""
    pieces: list[bytes] = []

    def one(kept: socket.socket) -> None:
        pieces.append(kept.recv(65536))
        kept.sendall(good())

    class Once(Server):
        def _serve(self, kept: socket.socket) -> None:
            one(kept)

    listening = Once()
    try:
        gradient(f"http://127.0.0.1:{listening.port}")
    finally:
        listening.close()
    head, _, body = pieces[0].partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert body
