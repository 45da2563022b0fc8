"""What the connections of one server share: their bounds, and who is waiting for a request."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Protocol as Shape

from portgrad.settings import Settings

# The request line and all headers; HTTP knows no bound, and servers and balancers have about this.
MOST_HEAD_BYTES = 64 * 1024
MOST_HEADERS = 100
# Requests that a client may send before the answer to an earlier one.
MOST_PIPELINED = 16


class Closable(Shape):
    """A connection, as far as another one needs to know it."""

    def give_way(self) -> None:
        """Close, as another needs the place."""


@dataclass
class Edge:
    """Bounds and counts of one server's connections.

    Attributes:
        head_seconds: how long the headers of a request may take.
        grace: how long a client may read nothing.
        rate: bytes a second that it must read after that.
        most: how many connections may be open.
        waiting: those that have no request under way, those that have waited longest first.
        open: how many there are.
        refused: problems that were answered before the application saw a request, by code.
    """

    head_seconds: float
    grace: float
    rate: int
    most: int
    waiting: OrderedDict[Closable, None] = field(default_factory=OrderedDict)
    open: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def make_room(self, new: Closable) -> bool:
        """Close the connection that has waited longest for a request; whether there was one.

        Who holds connections open without asking anything loses them to who asks.
        """
        longest = next((one for one in self.waiting if one is not new), None)
        if longest is None:
            return False
        longest.give_way()
        return True


def edge(settings: Settings) -> Edge:
    """The bounds that the settings say."""
    return Edge(
        head_seconds=settings.header_seconds,
        grace=settings.body_seconds,
        rate=settings.body_bytes_per_second,
        most=settings.max_connections,
    )
