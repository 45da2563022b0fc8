"""What a worker gives up right after the fork, before it reads its first job.

| what | by |
| --- | --- |
| files: reads code and the nets, writes nothing | Landlock |
| the network: no socket of any kind | seccomp; Landlock knows TCP alone |
| other processes: no signal, no tracing, no new process | seccomp, Landlock |
| memory: an allocation beyond the limit fails, and only there | RLIMIT_AS |
| when all memory is short, the kernel kills a worker first | oom_score_adj |
| privileges: none, for root neither | capset, PR_SET_NO_NEW_PRIVS |

What a kernel refuses to do is told, and the worker starts all the same.
"""

from __future__ import annotations

import os
import resource
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from portgrad.compute import kernel, landlock, seccomp

OPEN_FILES = 1024
# Where the system's own libraries are loaded from.
_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/etc/ld.so.cache")
# Found out before a fork: it takes longer than all that a worker does to itself.
_PYTHON = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_MOST_WANTED = "1000"  # of an oom_score_adj: killed before any other process


@dataclass(frozen=True)
class Confinement:
    """What a worker was confined to, as the kernel granted it.

    Attributes:
        files: it reads only code and what it was given, and writes no file that it opens.
        network: it makes no socket.
        processes: it reaches no other process, and starts none.
        privileges: it has none and gains none, and no other process reads its memory.
        memory: allocations beyond its limit fail.
        first_killed: the kernel kills it before the processes that answer requests.
        landlock: the version (ABI) of Landlock in effect; 0 for none.
        lacking: what is not as above, and why.
    """

    files: bool
    network: bool
    processes: bool
    privileges: bool
    memory: bool
    first_killed: bool
    landlock: int
    lacking: tuple[str, ...] = ()


def confine(readable: Sequence[Path], memory_bytes: int | None) -> Confinement:
    """Confine this process, for good. It must have one thread still; later ones are confined too.

    Args:
        readable: files, and folders with all below them, that it may read. They must be there.
        memory_bytes: what it may allocate from now on, in memory and in mapped files; None for
            any amount.

    Raises:
        FileNotFoundError: what should be readable is not there.
        RuntimeError: there are more threads, which would stay free.
    """
    _check_alone()
    paths = [path.resolve(strict=True) for path in readable]
    abi = landlock.version()
    lacking: list[str] = []

    def granted(what: str, step: Callable[[], object]) -> bool:
        try:
            step()
        except OSError as error:
            lacking.append(f"{what}: {error}")
            return False
        return True

    kernel.frugal_threads()
    first_killed = granted("killed first", _be_killed_first)
    memory = granted("memory", lambda: _limit(memory_bytes))
    privileges = granted("privileges", _give_up_privileges)
    files = granted("files (Landlock)", lambda: landlock.restrict([*paths, *_code()]))
    calls = granted("network and processes (seccomp)", seccomp.restrict)
    if files and abi < landlock.TRUNCATE_SINCE:
        lacking.append(f"files: Landlock {abi} lets a file that may be read be emptied")
    return Confinement(
        files=files and abi >= landlock.TRUNCATE_SINCE,
        network=calls,
        processes=calls,
        privileges=privileges,
        memory=memory and memory_bytes is not None,
        first_killed=first_killed,
        landlock=abi if files else 0,
        lacking=tuple(lacking),
    )


def _check_alone() -> None:
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise RuntimeError(f"A process with {threads} threads cannot be confined as a whole.")


def _code() -> list[Path]:
    """What may still be imported or loaded: Python's own library and packages, the system's
    libraries, and packages that are loaded already.

    Not all of sys.path, which may hold somebody's home.
    """
    known = {*_SYSTEM, *_PYTHON}
    below = tuple(f"{folder}/" for folder in known)
    tops = [module for name, module in list(sys.modules.items()) if "." not in name]
    loaded = {str(folder) for module in tops for folder in vars(module).get("__path__", ())}
    paths = known | {path for path in loaded if not path.startswith(below)}
    return [Path(path) for path in sorted(paths) if os.access(path, os.R_OK)]


def _be_killed_first() -> None:
    Path("/proc/self/oom_score_adj").write_text(_MOST_WANTED)


def _limit(memory_bytes: int | None) -> None:
    """No core files, not too many descriptors, and no more addresses than that.

    The size of files has no limit: it would hold for a log that all processes write, too.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    if memory_bytes is not None:
        _lower(resource.RLIMIT_AS, _mapped() + memory_bytes)


def _lower(limit: int, value: int) -> None:
    """A limit, or the lower one that holds already; none is ever raised again."""
    _, most = resource.getrlimit(limit)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(limit, (value, value))


def _mapped() -> int:
    """The bytes of addresses that this process maps."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _give_up_privileges() -> None:
    kernel.no_new_privileges()
    kernel.drop_capabilities()
    kernel.not_dumpable()
