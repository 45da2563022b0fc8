"""The filter of system calls, run as the kernel runs it, for each kind of machine."""

from __future__ import annotations

import errno
import struct

import pytest

from portgrad.compute import seccomp

PROCESS = 4711
ALLOWED, REFUSED, UNKNOWN = "allowed", errno.EPERM, errno.ENOSYS
MACHINES = list(seccomp.ARCHITECTURES)


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> object:
    """What the filter of a machine says to a call: classic BPF in a few lines."""
    own = seccomp.ARCHITECTURES[machine]
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=IIQ6Q", number, architecture or own, 0, *padded)
    code = list(struct.iter_unpack("=HBBI", seccomp.program(machine, PROCESS)))
    at, loaded = 0, 0
    while True:
        operation, held, otherwise, value = code[at]
        at += 1
        if operation == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif operation == 0x06:
            return ALLOWED if value == 0x7FFF0000 else value & 0xFFFF
        else:
            tests = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}
            at += held if tests[operation] else otherwise


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", seccomp.REFUSED)
def test_what_is_refused(machine: str, name: str) -> None:
    number = seccomp.REFUSED[name][MACHINES.index(machine)]
    if number is None:
        assert machine == "aarch64"  # which has the newer form of each call alone
        return
    assert verdict(machine, number) == REFUSED
    assert verdict(machine, number, architecture=0x40000003) == REFUSED


# Number on x86_64 and on aarch64, arguments, verdict.
THREAD, PROCESS_COPY = 0x3D0F00, 0x1200011
BY_ARGUMENT = [
    ("clone", (56, 220), (THREAD,), ALLOWED),
    ("clone", (56, 220), (PROCESS_COPY,), REFUSED),
    ("kill", (62, 129), (PROCESS, 9), ALLOWED),
    ("kill", (62, 129), (1, 9), REFUSED),
    ("kill", (62, 129), (2**32 - 1, 9), REFUSED),
    ("tgkill", (234, 131), (PROCESS, 4712, 6), ALLOWED),
    ("tgkill", (234, 131), (1, 1, 6), REFUSED),
    ("prlimit64", (302, 261), (0, 7), ALLOWED),
    ("prlimit64", (302, 261), (PROCESS, 7), ALLOWED),
    ("prlimit64", (302, 261), (1, 7), REFUSED),
    ("fcntl", (72, 25), (3, 1033), ALLOWED),
    ("fcntl", (72, 25), (3, 8), REFUSED),
    ("fcntl", (72, 25), (3, 10), REFUSED),
    ("fcntl", (72, 25), (3, 15), REFUSED),
    ("ioctl", (16, 29), (3, 0x5401), ALLOWED),
    ("ioctl", (16, 29), (3, 0x8901), REFUSED),
    ("prctl", (157, 167), (15, 0), ALLOWED),
    ("prctl", (157, 167), (1, 0), REFUSED),
]
# What reading jobs and computing take.
NEEDED = {
    "read": (0, 63), "write": (1, 64), "openat": (257, 56), "close": (3, 57), "mmap": (9, 222),
    "munmap": (11, 215), "brk": (12, 214), "futex": (202, 98), "recvmsg": (47, 212),
    "sendmsg": (46, 211), "memfd_create": (319, 279), "ftruncate": (77, 46), "poll": (7, 73),
    "getrandom": (318, 278), "exit_group": (231, 94), "clock_nanosleep": (230, 115),
    "epoll_pwait2": (441, 441), "close_range": (436, 436),
}  # fmt: skip


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("name", "numbers", "arguments", "expected"), BY_ARGUMENT)
def test_what_depends_on_an_argument(
    machine: str, name: str, numbers: tuple[int, int], arguments: tuple[int, ...], expected: object
) -> None:
    number = numbers[MACHINES.index(machine)]
    assert verdict(machine, number, *arguments) == expected, name


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", NEEDED)
def test_what_is_needed(machine: str, name: str) -> None:
    assert verdict(machine, NEEDED[name][MACHINES.index(machine)]) == ALLOWED


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_that_are_newer_than_the_list(machine: str) -> None:
    """io_uring, pidfd_open, clone3, landlock itself, what will come, and x32's numbers."""
    for number in (425, 434, 435, 444, 470, 511, 0x40000000 + 41):
        assert verdict(machine, number) == UNKNOWN
