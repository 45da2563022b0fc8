"""The net that a command is about: in a file here, or on a service. Both have the same calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import portgrad
import portgrad_client as client
from portgrad.cli.options import located
from portgrad.graph.files import NetFiles


@contextmanager
def opened(
    net: str, external: list[Path] | None, url: str, api_key: str | None
) -> Iterator[portgrad.Net | client.Net]:
    """A net to call: the file of that name, or else the net of that name or id on a service."""
    if Path(net).is_file():
        yield portgrad.load(NetFiles(Path(net), located(external)))
        return
    with client.Client(url, api_key=api_key) as service:
        yield service.net(net)
