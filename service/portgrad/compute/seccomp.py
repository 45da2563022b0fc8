"""Seccomp: the system calls that a worker never makes are refused it, for good.

A list of what is refused, not of what is allowed: the engine's libraries may make any call that
computing needs, on any libc. Refused is what reaches the network, other processes, or the owners,
modes and times of files, and what has been a way into kernels. Calls newer than those that are
known here answer as on an older kernel, which libraries are ready for.

The program is classic BPF: instructions that load a word of `struct seccomp_data` (number at 0,
architecture at 4, low halves of arguments from 16 on, every 8 bytes), compare, jump and return.
"""

from __future__ import annotations

import errno
import os
import platform
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from portgrad.compute.kernel import filter_calls

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_…

# The number on x86_64, and on aarch64 where there is such a call.
# fmt: off
REFUSED: dict[str, tuple[int, int | None]] = {
    # the network; sockets that are open already still carry bytes and descriptors
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242),
    # new processes, and other processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "tkill": (200, 130), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "setpriority": (141, 140),
    "setpgid": (109, 154), "setsid": (112, 157),  # the group of workers ends as one
    "ioprio_set": (251, 30), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # memory, semaphores and queues that processes share by name
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190),
    "semop": (65, 193), "semtimedop": (220, 192), "semctl": (66, 191), "msgget": (68, 186),
    "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # what Landlock leaves of files: their modes, owners, times, attributes and locks
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "flock": (73, 32),
    "truncate": (76, 45),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # ways into the kernel that need no privilege, or little
    "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "personality": (135, 92), "syslog": (103, 116),
    "fanotify_init": (300, 262), "modify_ldt": (154, None),
}
_NEWER = 424  # from here on the numbers are those of every architecture
_NEWER_ALLOWED = {
    "close_range": 436, "openat2": 437, "faccessat2": 439, "epoll_pwait2": 441,
    "futex_waitv": 449, "map_shadow_stack": 453, "futex_wake": 454, "futex_wait": 455,
    "futex_requeue": 456, "mseal": 462,
}
# fmt: on


@dataclass(frozen=True)
class _Allowed:
    """A call that is allowed where an argument is one of some values, or has a bit; or is not."""

    number: tuple[int, int]
    argument: int
    values: tuple[int, ...] = ()
    bit: int = 0
    reverse: bool = False


_THREAD = 0x10000  # CLONE_THREAD
# Whom a file signals, and how: F_SETOWN, F_SETSIG, F_SETOWN_EX; FIOSETOWN, SIOCSPGRP.
_OWNERS, _SOCKET_OWNERS = (8, 10, 15), (0x8901, 0x8902)
_PR_SET_PDEATHSIG = 1  # a worker ends with who made it


def _by_argument(process: int) -> list[_Allowed]:
    return [
        _Allowed((56, 220), 0, bit=_THREAD),  # clone
        _Allowed((62, 129), 0, (process,)),  # kill
        _Allowed((234, 131), 0, (process,)),  # tgkill
        _Allowed((129, 138), 0, (process,)),  # rt_sigqueueinfo
        _Allowed((297, 240), 0, (process,)),  # rt_tgsigqueueinfo
        _Allowed((302, 261), 0, (0, process)),  # prlimit64
        _Allowed((72, 25), 1, _OWNERS, reverse=True),  # fcntl
        _Allowed((16, 29), 1, _SOCKET_OWNERS, reverse=True),  # ioctl
        _Allowed((157, 167), 0, (_PR_SET_PDEATHSIG,), reverse=True),  # prctl
    ]


def restrict() -> None:
    """Refuse this thread, and those that it starts, what a worker never does.

    The process must have given up new privileges (PR_SET_NO_NEW_PRIVS).

    Raises:
        OSError: the kernel has no such filters, or this machine's calls are not known here.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"the system calls of {machine} are not known here")
    filter_calls(program(machine, os.getpid()))


_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS


def program(machine: str, process: int) -> bytes:
    """The filter of one process on one kind of machine."""
    column = list(ARCHITECTURES).index(machine)
    refused = (numbers[column] for numbers in REFUSED.values())
    code = [
        _do(_LOAD, 4),
        _jump(_EQUAL, ARCHITECTURES[machine], skip=1),
        _do(_RETURN, _REFUSE),
        _do(_LOAD, 0),
        *_newer(),
    ]
    for number in refused:
        if number is not None:
            code += _where(number, [_do(_RETURN, _REFUSE)])
    for allowed in _by_argument(process):
        code += _where(allowed.number[column], _judge(allowed))
    return b"".join([*code, _do(_RETURN, _ALLOW)])


def _newer() -> Sequence[bytes]:
    allow = [
        part
        for number in _NEWER_ALLOWED.values()
        for part in _where(number, [_do(_RETURN, _ALLOW)])
    ]
    body = [*allow, _do(_RETURN, _UNKNOWN)]
    return [_jump(_AT_LEAST, _NEWER, otherwise=len(body)), *body]


def _judge(allowed: _Allowed) -> list[bytes]:
    """Load the argument, and return one way where it is as listed, the other where it is not."""
    listed, unlisted = (_REFUSE, _ALLOW) if allowed.reverse else (_ALLOW, _REFUSE)
    tests: Iterable[tuple[int, int]] = [(_EQUAL, value) for value in allowed.values]
    if allowed.bit:
        tests = [(_HAS_BIT, allowed.bit)]
    code = [_do(_LOAD, 16 + 8 * allowed.argument)]
    for test, value in tests:
        code += [_jump(test, value, otherwise=1), _do(_RETURN, listed)]
    return [*code, _do(_RETURN, unlisted)]


def _where(number: int, body: list[bytes]) -> list[bytes]:
    """What is done for the call of that number; the others skip it."""
    return [_jump(_EQUAL, number, otherwise=len(body)), *body]


def _do(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, *, skip: int = 0, otherwise: int = 0) -> bytes:
    """How many instructions to skip where the test holds, and where it does not."""
    return struct.pack("=HBBI", code, skip, otherwise, value)
