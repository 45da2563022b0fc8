"""What a confined process still can do: every kind of gradient, within its memory."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from portgrad.compute import landlock, seccomp
from portgrad.compute.confine import Confinement, confine
from portgrad.engine import Net, load
from portgrad.errors import RunFailed
from portgrad.graph.files import NetFiles
from support.forked import in_child

MIB = 1024 * 1024
PR_SET_DUMPABLE = 4
X = np.linspace(0.5, 2.0, 8, dtype=np.float32).reshape(2, 4)
PORTS = "(float[2,4] x) => (float y)"


def model(body: str) -> onnx.ModelProto:
    domains = '"" : 17, "com.microsoft" : 1'
    return onnx.parser.parse_model(f"<ir_version: 8, opset_import: [{domains}]> net {body}")


def net(body: str) -> Net:
    return load(model(body).SerializeToString(), threads=2)


SUM = "y = ReduceSum<keepdims = 0>(s)"
SQUARE = f"{PORTS} {{ s = Mul(x, x) {SUM} }}"
BODIES = {
    "plain": SQUARE,
    "on threads": f"{PORTS} {{ t = Transpose(x) s = MatMul(t, x) {SUM} }}",
    "com.microsoft": f"{PORTS} {{ s = com.microsoft.Gelu(x) {SUM} }}",
    "sequences": f"""{PORTS} {{ q = SequenceConstruct(x, x)
        s = ConcatFromSequence<axis = 0>(q) {SUM} }}""",
    "a loop": f"""{PORTS} {{ n = Constant<value = int64 {{3}}>() c = Constant<value = bool {{1}}>()
        s = Loop (n, c, x) <body = b (int64 i, bool k, float[2,4] v) => (bool l, float[2,4] w) {{
        l = Identity(k) w = Mul(v, v) }}> {SUM} }}""",
}  # fmt: skip


def _gradient(of: Net) -> Any:
    return of.gradient(X)["x"]


def _confined(work: Callable[[], Any], memory: int | None = 512 * MIB, *readable: Path) -> Any:
    def run() -> Any:
        confine(readable, memory)
        return work()

    return in_child(run)


@pytest.mark.parametrize("kind", BODIES)
def test_gradients(kind: str) -> None:
    found = _confined(lambda: _gradient(net(BODIES[kind])))
    np.testing.assert_array_equal(found, _gradient(net(BODIES[kind])))


DERIVATIVES: dict[str, Callable[[Net], Any]] = {
    "in double": lambda of: of.gradient(X, precision="float64")["x"],
    "jvp": lambda of: of.jvp(X, tangents={"x": X})["y"],
    "hvp": lambda of: of.hvp(X, tangents={"x": X})["x"],
    "a file": lambda of: len(of.export_gradient().to_bytes()),
    "gradcheck": lambda of: of.gradcheck(X).plain()["ok"],
}


@pytest.mark.parametrize("kind", DERIVATIVES)
def test_derivatives(kind: str) -> None:
    found = _confined(lambda: DERIVATIVES[kind](net(SQUARE)))
    np.testing.assert_array_equal(found, DERIVATIVES[kind](net(SQUARE)))


def _with_external(weights: Path) -> NetFiles:
    proto = model(f"{PORTS} {{ s = Mul(x, w) {SUM} }}")
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    proto.graph.initializer.append(tensor)
    return NetFiles(proto.SerializeToString(), {"w.bin": weights})


def test_weights_are_mapped_from_a_readable_folder(tmp_path: Path) -> None:
    weights = tmp_path / "nets" / "w.bin"
    weights.parent.mkdir()
    weights.write_bytes(X.tobytes())
    files = _with_external(weights)
    found = _confined(lambda: _gradient(load(files)), None, weights.parent)
    np.testing.assert_array_equal(found, X)


def test_descriptors_and_shared_memory() -> None:
    """What carries arrays: a memfd that is made and mapped here, and sent over an open socket."""
    here, there = socket.socketpair()

    def send() -> None:
        block = os.memfd_create("block", os.MFD_ALLOW_SEALING)
        os.ftruncate(block, 8 * MIB)
        with mmap.mmap(block, 8 * MIB) as mapped:
            mapped[:5] = b"array"
        socket.send_fds(there, [b"x"], [block])

    with here, there:
        _confined(send)
        _, (block,), _, _ = socket.recv_fds(here, 1, 1)
        assert os.pread(block, 5, 0) == b"array"
        os.close(block)


def test_files_that_are_open_already_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb", buffering=0) as file:
        _confined(lambda: file.write(b"gradient"))
    assert path.read_bytes() == b"gradient"


def test_modules_may_still_be_imported_and_threads_started() -> None:
    def work() -> str:
        import sqlite3

        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        return sqlite3.__name__

    assert _confined(work) == "sqlite3"


def test_what_it_gave_up_is_given_up() -> None:
    """Read from descriptors of /proc that were opened before."""

    def work() -> tuple[Confinement, str, str]:
        names = ("status", "oom_score_adj")
        status, score = (os.open(f"/proc/self/{name}", os.O_RDONLY) for name in names)
        granted = confine([], 512 * MIB)
        return granted, os.read(status, 8192).decode(), os.read(score, 16).decode()

    granted, status, score = in_child(work)
    assert granted.privileges
    assert granted.first_killed
    assert int(score) == 1000
    assert int(re.search(r"CapPrm:\s+(\w+)", status)[1], 16) & ~0b100 == 0  # type: ignore[index]
    assert re.search(r"NoNewPrivs:\s+1", status)


SIZED = "(int64[1] n, float[1] x) => (float y)"
GREEDY: dict[str, tuple[str, int, int]] = {
    "100 GB": (f"""{SIZED} {{ z = ConstantOfShape<value = float[1] {{1.0}}>(n)
        s = Mul(z, x) {SUM} }}""", 25 * 10**9, 2),
    "Expand": (f"{SIZED} {{ s = Expand(x, n) {SUM} }}", 10**12, 2),
    "MatMul": (f"""{SIZED} {{ t = Expand(x, n) o = Constant<value = int64[1] {{0}}>()
        p = Unsqueeze(t, o) e = Constant<value = int64[1] {{1}}>() q = Unsqueeze(t, e)
        m = MatMul(q, p) u = ReduceMax<keepdims = 0>(m) s = Mul(u, x) {SUM} }}""", 10**5, 1),
    "a growing loop": (f"""{SIZED} {{ c = Constant<value = bool {{1}}>() m = Squeeze(n)
        s = Loop (m, c, x) <body = b (int64 i, bool k, float[a] v) => (bool l, float[b] w) {{
        l = Identity(k) w = Concat<axis = 0>(v, v) }}> {SUM} }}""", 40, 1),
}  # fmt: skip


def _sized(n: int) -> dict[str, Any]:
    return {"n": np.array([n]), "x": np.ones(1, np.float32)}


@pytest.mark.parametrize("kind", GREEDY)
def test_a_net_that_asks_for_too_much_fails_and_runs_again(kind: str) -> None:
    body, too_much, enough = GREEDY[kind]

    def work() -> list[tuple[str, str | None, float]]:
        found, told = net(body), []
        for _ in range(2):
            with pytest.raises(RunFailed) as caught:
                found.gradient(_sized(too_much), wrt=["x"])
            value = found.gradient(_sized(enough), wrt=["x"])["x"][0]
            told.append((caught.value.code, caught.value.where, float(value)))
        return told

    told = _confined(work)
    expected = in_child(lambda: float(net(body).gradient(_sized(enough), wrt=["x"])["x"][0]))
    assert [(code, value) for code, _, value in told] == [("out_of_memory", expected)] * 2
    assert all(where for _, where, _ in told)


@pytest.mark.parametrize("opset", [17, 21])
def test_a_constant_that_does_not_fit_is_not_called_invalid(opset: int) -> None:
    body = f"""{SIZED} {{ m = Constant<value = int64[1] {{25000000000}}>()
        z = ConstantOfShape<value = float[1] {{1.0}}>(m) s = Mul(z, x) {SUM} }}"""
    proto = model(body)
    proto.opset_import[0].version = opset

    def work() -> list[str]:
        codes = []
        for _ in range(2):
            with pytest.raises(RunFailed) as caught:
                load(proto.SerializeToString()).evaluate(_sized(1))
            codes.append(caught.value.code)
        return codes

    assert _confined(work) == ["out_of_memory"] * 2


def test_nets_do_not_starve_each_other() -> None:
    """Each takes two fifths of the memory; what one has left must serve the next."""

    def work() -> list[float]:
        body = f"{SIZED} {{{{ s{{0}} = Expand(x, n) y = ReduceSum<keepdims = 0>(s{{0}}) }}}}"
        nets = [net(body.format(i)) for i in range(6)]
        sizes = [(40 + i) * MIB for i in range(6)]
        return [
            float(one.evaluate(_sized(size)).outputs["y"]) / MIB
            for one, size in zip(nets, sizes, strict=True)
        ]

    assert _confined(work) == [40, 41, 42, 43, 44, 45]


def test_memory_beyond_the_limit_is_a_clean_error() -> None:
    def work() -> int:
        with pytest.raises(MemoryError):
            bytearray(300 * MIB)
        return len(bytearray(200 * MIB))

    assert _confined(work, 256 * MIB) == 200 * MIB


def test_the_limit_cannot_be_raised() -> None:
    import resource

    def work() -> None:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        with pytest.raises(ValueError, match="not allowed to raise"):
            resource.setrlimit(resource.RLIMIT_AS, unlimited)

    _confined(work)


def test_many_threads_leave_the_memory_to_nets() -> None:
    """With libc's own heaps and stacks each would reserve 72 MiB, and the last would not start."""

    def work() -> int:
        go = threading.Event()
        threads = [threading.Thread(target=lambda: (bytearray(1000), go.wait())) for _ in range(64)]
        for thread in threads:
            thread.start()
        go.set()
        return len(threads)

    assert _confined(work, 256 * MIB) == 64


def test_the_engine_has_no_file_open() -> None:
    """Landlock leaves descriptors as they are, and a worker inherits what the engine opened."""
    code = """
import portgrad.engine, os
for name in os.listdir("/proc/self/fd"):
    try:
        print(os.readlink("/proc/self/fd/" + name))
    except FileNotFoundError:  # of the listing itself
        pass
"""
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    opened = [line for line in ran.stdout.split() if ":" not in line and line != "/dev/null"]
    assert opened == []


def _refuse(*_: object) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def test_a_kernel_without_landlock_and_seccomp_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "restrict", _refuse)
    monkeypatch.setattr(seccomp, "restrict", _refuse)

    def work() -> tuple[Confinement, Any]:
        return confine([], 512 * MIB), _gradient(net(SQUARE))

    granted, found = in_child(work)
    np.testing.assert_array_equal(found, 2 * X)
    assert (granted.files, granted.network, granted.processes) == (False, False, False)
    assert granted.landlock == 0
    assert granted.memory
    assert [line.partition(":")[0] for line in granted.lacking] == [
        "files (Landlock)",
        "network and processes (seccomp)",
    ]


def test_an_old_landlock_does_not_promise_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 2)
    monkeypatch.setattr(landlock, "restrict", lambda _: None)
    granted = in_child(lambda: confine([], None))
    assert (granted.files, granted.landlock, granted.memory) == (False, 2, False)
    assert "emptied" in granted.lacking[0]


def test_a_user_without_privileges_is_confined_as_well() -> None:
    if os.getuid() != 0:
        pytest.skip("runs as a user without privileges already")

    def work() -> tuple[Confinement, Any]:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        # As a process that was started by that user: its files in /proc are its own.
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1)
        granted = confine([], 512 * MIB)
        return granted, _gradient(net(SQUARE))

    granted, found = in_child(work)
    np.testing.assert_array_equal(found, 2 * X)
    assert granted == in_child(lambda: confine([], 512 * MIB))


def test_a_folder_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    def work() -> None:
        with pytest.raises(FileNotFoundError):
            confine([tmp_path / "none"], 512 * MIB)
        (tmp_path / "file").write_text("written")

    in_child(work)
    assert (tmp_path / "file").exists()


def test_a_process_with_threads_is_not_confined_by_half() -> None:
    def work() -> None:
        go = threading.Event()
        threading.Thread(target=go.wait).start()
        with pytest.raises(RuntimeError, match="2 threads"):
            confine([], None)
        go.set()

    in_child(work)
