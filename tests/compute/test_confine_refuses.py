"""What a confined process cannot do, each tried in a forked child."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portgrad.compute import kernel, landlock, seccomp
from portgrad.compute.confine import Confinement, confine
from support.forked import in_child

CAN = in_child(lambda: confine([], None))
LIBC = ctypes.CDLL(None, use_errno=True)
PARENT = os.getpid()
PTRACE_SEIZE = 0x4206  # which does not stop it


@dataclass(frozen=True)
class Place:
    """A folder that may be read, with a file; a file outside; sockets made beforehand."""

    folder: Path
    file: Path
    outside: Path
    tcp: socket.socket
    udp: socket.socket
    unix: socket.socket


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "nets"
    folder.mkdir()
    file, outside = folder / "file", tmp_path / "secret"
    file.write_text("net")
    outside.write_text("secret")
    (folder / "link").symlink_to(outside)
    with (
        socket.socket() as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        yield Place(folder, file, outside, tcp, udp, unix)


def _c(name: str, *arguments: int) -> None:
    """A function of libc, as Python would call it."""
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


Attempt = Callable[[Place], object]

FILES: dict[str, Attempt] = {
    "read a file outside": lambda at: at.outside.read_text(),
    "read a file outside by a link inside": lambda at: (at.folder / "link").read_text(),
    "list a folder outside": lambda at: os.listdir(at.outside.parent),  # noqa: PTH208
    "read the system's own": lambda at: Path("/etc/passwd").read_text(),
    "read the parent's environment": lambda at: Path(f"/proc/{PARENT}/environ").read_bytes(),
    "read the parent's command": lambda at: Path(f"/proc/{PARENT}/cmdline").read_bytes(),
    "write the parent's memory": lambda at: os.open(f"/proc/{PARENT}/mem", os.O_RDWR),
    "make a file": lambda at: (at.folder / "new").touch(),
    "make a file in the temporary folder": lambda at: Path("/tmp/portgrad-new").touch(),
    "make a file without a name": lambda at: os.open("/tmp", os.O_TMPFILE | os.O_RDWR),
    "write a file": lambda at: at.file.write_text("other"),
    "append to a file": lambda at: os.open(at.file, os.O_APPEND | os.O_WRONLY),
    "empty a file while opening it": lambda at: os.open(at.file, os.O_RDONLY | os.O_TRUNC),
    "remove a file": lambda at: at.file.unlink(),
    "rename a file": lambda at: at.file.rename(at.folder / "new"),
    "make a folder": lambda at: (at.folder / "new").mkdir(),
    "remove a folder": lambda at: at.folder.rmdir(),
    "make a symbolic link": lambda at: (at.folder / "new").symlink_to(at.file),
    "make a hard link": lambda at: (at.folder / "new").hardlink_to(at.file),
    "make a pipe": lambda at: os.mkfifo(at.folder / "new"),
    "write to shared memory": lambda at: Path("/dev/shm/portgrad-new").touch(),
    "run a program": lambda at: os.execv("/bin/true", ["true"]),
}

CALLS: dict[str, Attempt] = {
    "empty a file": lambda at: os.truncate(at.file, 0),
    "change a mode": lambda at: at.file.chmod(0o777),
    "change an owner": lambda at: os.chown(at.file, os.getuid(), os.getgid()),
    "change times": lambda at: os.utime(at.file),
    "set an attribute": lambda at: os.setxattr(at.file, "user.x", b"x"),
    "lock a file": lambda at: fcntl.flock(0, fcntl.LOCK_SH),
    "make a TCP socket": lambda at: socket.socket(),
    "make a UDP socket": lambda at: socket.socket(type=socket.SOCK_DGRAM),
    "make an IPv6 socket": lambda at: socket.socket(socket.AF_INET6),
    "make a unix socket": lambda at: socket.socket(socket.AF_UNIX),
    "make a netlink socket": lambda at: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "make a pair of sockets": lambda at: socket.socketpair(),
    "connect by TCP": lambda at: at.tcp.connect(("127.0.0.1", 9)),
    "bind by TCP": lambda at: at.tcp.bind(("127.0.0.1", 0)),
    "listen": lambda at: at.tcp.listen(),
    "accept": lambda at: at.tcp.accept(),
    "connect by UDP": lambda at: at.udp.connect(("127.0.0.1", 9)),
    "bind by UDP": lambda at: at.udp.bind(("127.0.0.1", 0)),
    "connect to a unix socket": lambda at: at.unix.connect("/run/docker.sock"),
    "bind a unix socket": lambda at: at.unix.bind("\0portgrad-test"),
    "look for the parent by a signal": lambda at: os.kill(PARENT, 0),
    "signal the parent": lambda at: os.kill(PARENT, signal.SIGCONT),
    "signal the group": lambda at: os.kill(0, 0),
    "signal all": lambda at: os.kill(-1, 0),
    "signal the parent's thread": lambda at: _c("tgkill", PARENT, PARENT, 0),
    "have a file signal the parent": lambda at: fcntl.fcntl(0, fcntl.F_SETOWN, PARENT),
    "have a socket signal the parent": lambda at: fcntl.ioctl(at.tcp, 0x8901, b"\0\0\0\0"),
    "choose that signal": lambda at: fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL),
    "trace the parent": lambda at: _c("ptrace", PTRACE_SEIZE, PARENT, 0, 0),
    "limit the parent": lambda at: resource.prlimit(PARENT, resource.RLIMIT_NOFILE),
    "slow the parent down": lambda at: os.setpriority(os.PRIO_PROCESS, PARENT, 0),
    "move the parent to a core": lambda at: os.sched_setaffinity(PARENT, {0}),
    "outlive the parent": lambda at: _c("prctl", 1, 0, 0, 0, 0),
    "leave the group": lambda at: os.setpgid(0, 0),
    "leave the session": lambda at: os.setsid(),
    "fork": lambda at: os.fork(),
    "spawn a program": lambda at: os.posix_spawn("/bin/true", ["true"], {}),
    "leave a namespace": lambda at: _c("unshare", 0x10000000),
    "share memory by key": lambda at: _c("shmget", 1, 4096, 0o1600),
    "keep a key": lambda at: kernel.call(seccomp_number("add_key"), 0, 0, 0, 0, 0),
    "measure the kernel": lambda at: kernel.call(seccomp_number("perf_event_open"), 0, 0, 0, 0, 0),
}

NEWER: dict[str, Attempt] = {
    "open the parent as a descriptor": lambda at: os.pidfd_open(PARENT),
    "queue calls": lambda at: kernel.call(425, 1, 0),
    "clone by the newer call": lambda at: kernel.call(435, 0, 0),
}


def seccomp_number(name: str) -> int:
    """The number of a call on this machine."""
    number = seccomp.REFUSED[name][list(seccomp.ARCHITECTURES).index(platform.machine())]
    assert number is not None
    return number


def _error_of(attempt: Attempt, place: Place, readable: list[Path]) -> tuple[Confinement, int]:
    def tried() -> tuple[Confinement, int]:
        granted = confine(readable, None)
        try:
            attempt(place)
        except OSError as error:
            return granted, error.errno
        return granted, 0

    return in_child(tried)


@pytest.mark.skipif(not CAN.files, reason=f"this kernel has no Landlock: {CAN.lacking}")
@pytest.mark.parametrize("what", FILES)
def test_files_that_are_refused(what: str, place: Place) -> None:
    _, error = _error_of(FILES[what], place, [place.folder])
    assert error in {errno.EACCES, errno.EPERM}
    assert place.file.read_text() == "net"


@pytest.mark.skipif(not CAN.processes, reason=f"this kernel has no seccomp: {CAN.lacking}")
@pytest.mark.parametrize("what", CALLS)
def test_calls_that_are_refused(what: str, place: Place) -> None:
    _, error = _error_of(CALLS[what], place, [place.folder])
    assert error == errno.EPERM


@pytest.mark.skipif(not CAN.processes, reason=f"this kernel has no seccomp: {CAN.lacking}")
@pytest.mark.parametrize("what", NEWER)
def test_calls_that_are_not_known(what: str, place: Place) -> None:
    _, error = _error_of(NEWER[what], place, [place.folder])
    assert error == errno.ENOSYS


# What Landlock refuses by itself, where a kernel has no seccomp; errors are Landlock's own.
ALONE: dict[str, tuple[Attempt, int, int]] = {
    "connect by TCP": (CALLS["connect by TCP"], errno.EACCES, landlock.TCP_SINCE),
    "bind by TCP": (CALLS["bind by TCP"], errno.EACCES, landlock.TCP_SINCE),
    "signal the parent": (CALLS["signal the parent"], errno.EPERM, landlock.SCOPES_SINCE),
    "trace the parent": (CALLS["trace the parent"], errno.EPERM, 1),
    "empty a file": (CALLS["empty a file"], errno.EACCES, landlock.TRUNCATE_SINCE),
}


@pytest.mark.parametrize("what", ALONE)
def test_landlock_alone(what: str, place: Place) -> None:
    attempt, expected, since = ALONE[what]
    if landlock.version() < since:
        pytest.skip(f"needs Landlock {since}, this kernel has {landlock.version()}")

    def tried() -> int:
        kernel.no_new_privileges()
        landlock.restrict([place.folder])
        try:
            attempt(place)
        except OSError as error:
            return error.errno
        return 0

    assert in_child(tried) == expected
