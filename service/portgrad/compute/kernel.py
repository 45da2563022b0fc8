"""What confinement asks of the kernel and of libc that Python has no name for."""

from __future__ import annotations

import ctypes
import os
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

_SET_DUMPABLE, _SET_SECCOMP, _SET_NO_NEW_PRIVS = 4, 22, 38
_FILTER = 2  # a mode of seccomp
_CAPABILITIES = 0x20080522  # the version of the interface, which has two words of 32 of them
_READ_EVERYWHERE = 1 << 2  # CAP_DAC_READ_SEARCH
_MOST_ARENAS = -8  # M_ARENA_MAX
_THREAD_ATTRIBUTES = 256  # more than a pthread_attr_t takes
STACK_BYTES = 1024 * 1024


def call(number: int, *arguments: Any) -> int:
    """A system call; raises OSError as the kernel answers."""
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *wide))


def no_new_privileges() -> None:
    """No program that this process starts gains rights; what a filter for it asks for."""
    _prctl(_SET_NO_NEW_PRIVS, 1)


def not_dumpable() -> None:
    """No core file, and no other process of the same user reads this one's memory."""
    _prctl(_SET_DUMPABLE, 0)


def filter_calls(program: bytes) -> None:
    """Have every system call of this thread, and of those it starts, pass a BPF program."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    _prctl(_SET_SECCOMP, _FILTER, ctypes.byref(Program(len(program) // 8, program)))


def drop_capabilities() -> None:
    """Root becomes a user like others, but for reading: a folder of nets may be another user's.

    Without this root could raise its own limits again.
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0)
    words = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice
    _checked(_libc.capget(header, words))
    kept = words[1] & _READ_EVERYWHERE
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)))


def frugal_threads() -> None:
    """Have threads from here on reserve few addresses, which the limit of addresses counts.

    libc would give each a heap of its own, 64 MiB, and a stack of 8 MiB. All share one heap then,
    and their stacks have twice what macOS gives them.
    """
    if not hasattr(_libc, "mallopt"):
        return
    _libc.mallopt(_MOST_ARENAS, 1)
    attributes = ctypes.create_string_buffer(_THREAD_ATTRIBUTES)
    _libc.pthread_attr_init(attributes)
    _libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(STACK_BYTES))
    _libc.pthread_setattr_default_np(attributes)


def _prctl(*arguments: Any) -> None:
    wide = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    padding = [ctypes.c_ulong(0)] * (5 - len(wide))
    _checked(_libc.prctl(*wide, *padding))


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
