"""The notation of Wolfram's NetPortGradient: a property asked of a net, or a key of its data.

net(data, NetPortGradient("Input"))                             the gradient at that port
net({"Input": x, NetPortGradient("Output"): g}, ...)            with g imposed at that output
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from portgrad_client.errors import InvalidRequestError


class _Everything(Enum):
    ALL = "all"

    def __repr__(self) -> str:
        return "All"


All: Final = _Everything.ALL


@dataclass(frozen=True, init=False)
class NetPortGradient:
    """The gradient at a port, parameter or inner value, at a path, or at `All` of them.

    Args:
        port: a name; a path such as `["layer1", "weight"]`, whose numbers become words; or `All`,
            every input port and parameter.
    """

    port: str | tuple[str, ...] | _Everything

    def __init__(self, port: str | Iterable[str | int] | _Everything) -> None:
        if not isinstance(port, str | _Everything):
            port = _path(port)
        object.__setattr__(self, "port", port)

    def __repr__(self) -> str:
        shown = list(self.port) if isinstance(self.port, tuple) else self.port
        return f"NetPortGradient({shown!r})"

    @property
    def target(self) -> str | list[str]:
        """What goes into the list `wrt`; not for `All`."""
        return list(self.port) if isinstance(self.port, tuple) else str(self.port)


def _path(port: Iterable[str | int]) -> tuple[str, ...]:
    words = tuple(port) if isinstance(port, list | tuple) else ()
    if words and all(isinstance(word, str | int) for word in words):
        return tuple(str(word) for word in words)
    raise InvalidRequestError(
        "NetPortGradient takes one name, one path or All.",
        code="invalid_target",
        expected="""such as "Input", ["layer1", "weight"] or All""",
        found=repr(port)[:80],
        remedy="Ask for several gradients with a list of NetPortGradient.",
    )
