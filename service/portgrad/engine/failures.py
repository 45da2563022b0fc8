"""What the runtime says when it fails, as errors: which node, without paths or C++."""

from __future__ import annotations

import re

from portgrad.errors import RunFailed, Unsupported, out_of_memory
from portgrad.graph.memory import ran_out

LONGEST = 500
# What is read of a message: names in it may be long, and patterns take time by its square.
_READ = 2000

_AT_NODE = re.compile(r"running (\S+) node\. Name:'(.*?)' Status Message: (.*)", re.DOTALL)
_NO_KERNEL = re.compile(r"implementation for (\S+)\((\d+)\) node with name '(.*?)'")
_STATUS = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : ")
_SOURCE = re.compile(r"\S*\.(?:h|cc|cpp|hpp):\d+ *")
_SIGNATURE = re.compile(r"[\w:*&<>, ]*\bonnxruntime::[^()]*\([^()]*\)(?: const)? ?")
# A path has two parts at least; in quotes it may be the name of a node, which exporters write so.
_PATH = re.compile(r"'[^']*'|(?<!\w)/(?:[\w.+-]+/)+[\w.+-]*")
# Of the runtime's arena, of C++, and of threads that get no stack.
_NO_MEMORY = re.compile(r"Failed to allocate memory|bad_alloc|Cannot allocate memory")
_SIZE = re.compile(r"buffer of size (\d+)")
_EMITTED = re.compile(r"portgrad\d*/")


def not_runnable(error: Exception) -> Unsupported | RunFailed:
    """The error for a graph that the runtime does not load."""
    text = cleaned(str(error))
    if ran_out(error):
        return out_of_memory(_where(error), text)
    kernel = _NO_KERNEL.search(str(error))
    where = None
    if kernel:
        text = f"it has no kernel for {kernel[1]} (version {kernel[2]}) with these dtypes"
        where = named(kernel[1], kernel[3])
    return Unsupported(
        f"onnxruntime cannot run this graph: {text.rstrip('.')}.",
        code="not_runnable",
        where=where,
        expected="operators and dtypes that onnxruntime's CPU provider has",
        remedy="Change the operator or its dtype to one that onnxruntime's CPU provider has.",
    )


def for_memory(error: Exception) -> bool:
    """Whether an allocation failed."""
    return isinstance(error, MemoryError) or bool(_NO_MEMORY.search(str(error)))


def run_failed(error: Exception) -> RunFailed:
    """The error for a run that the runtime gave up."""
    at = _AT_NODE.search(str(error))
    text = cleaned(at[3] if at else str(error))
    if for_memory(error) or ran_out(error):
        size = _SIZE.search(str(error))
        return out_of_memory(_where(error), f"{size[1]} bytes asked for at once" if size else text)
    return RunFailed(
        f"The runtime failed on these data: {text.rstrip('.')}.",
        where=_where(error),
        remedy="Compare the data with the shapes that the net's description gives.",
    )


def _where(error: Exception) -> str | None:
    at = _AT_NODE.search(str(error))
    return named(at[1], at[2]) if at else None


def named(operator: str, name: str) -> str:
    """A node as users know it; one that the gradient added is none of theirs."""
    if _EMITTED.match(name):
        return f"the backward pass, at its {operator} node"
    return f"{operator} node {name!r}"


def cleaned(text: str) -> str:
    """A message without status codes, C++ signatures, and paths of this or any machine."""
    text = _SIGNATURE.sub("", _SOURCE.sub("", _STATUS.sub("", text[:_READ])))
    text = _PATH.sub(lambda found: found[0] if found[0][0] == "'" else "…", text)
    return " ".join(text.split())[:LONGEST]
