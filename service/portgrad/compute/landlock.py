"""Landlock: a process gives up, for good and with no privilege, the files that it may not have.

Linux offers three system calls for it, with the same numbers everywhere and no wrapper in libc.
What a kernel can refuse grows with its version of the interface (ABI); what it is not asked to
handle stays as it was. See https://docs.kernel.org/userspace-api/landlock.html.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from portgrad.compute.kernel import call

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1  # a flag of create_ruleset
_PATH_BENEATH = 1  # a kind of rule

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
TRUNCATE_SINCE, TCP_SINCE, SCOPES_SINCE = 3, 4, 6
# The rights over files by the ABI that brought them: thirteen at first (execute, write, read,
# list, remove, make), then moving between folders, truncating, and commands to devices.
_FILES = {1: (1 << 13) - 1, 2: 1 << 13, TRUNCATE_SINCE: 1 << 14, 5: 1 << 15}
_TCP = {TCP_SINCE: 0b11}  # bind, connect
_SCOPES = {SCOPES_SINCE: 0b11}  # abstract unix sockets, signals


class _Ruleset(ctypes.Structure):
    """What is handled, that is refused but for what rules allow. Older kernels know a shorter
    one, and take this where the rest is zero.
    """

    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """The ABI that this kernel offers; 0 where there is none."""
    try:
        return call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def restrict(readable: Iterable[Path]) -> None:
    """Leave this thread, and those that it starts, only files below `readable`, and only to read.

    TCP is refused too, and abstract unix sockets and signals to processes that are not confined
    with this one, where the kernel can. Descriptors that are open stay as they are. The process
    must have given up new privileges (PR_SET_NO_NEW_PRIVS).

    Raises:
        OSError: the kernel has no Landlock, or a path is not there.
    """
    abi = call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    handled = _Ruleset(_up_to(abi, _FILES), _up_to(abi, _TCP), _up_to(abi, _SCOPES))
    rules = call(_CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    try:
        for path in readable:
            _allow(rules, path)
        call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _up_to(abi: int, rights: dict[int, int]) -> int:
    return sum(bits for since, bits in rights.items() if since <= abi)


def _allow(rules: int, path: Path) -> None:
    """Reading of a file, or of all that lies below a folder."""
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        folder = stat.S_ISDIR(os.fstat(place).st_mode)
        beneath = _PathBeneath(_READ_FILE | (_READ_DIR if folder else 0), place)
        call(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(place)
