"""A gradient as an ONNX file: asked for by a query, streamed to the disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import httpx

from portgrad_client.arguments import Target, Targets, Wanted, names, targets, wrong_kind
from portgrad_client.errors import NotFoundError, PortgradError
from portgrad_client.transport import Transport

Query: TypeAlias = list[tuple[str, str]]
# What a query reads otherwise than as a name where it stands alone.
_WORDS = frozenset({"inputs", "parameters", "all", "true", "false"})


def query_of(
    *, wrt: Targets, of: Targets | None, outputs: Wanted, seeds: bool, quantized: str | None
) -> Query:
    """The fields of a gradient call as a query, lists item by item.

    Raises:
        InvalidRequestError: `invalid_field`.
    """
    query: Query = []
    for field, asked in (("wrt", targets(wrt, "wrt")), ("of", targets(of, "of"))):
        if asked == []:
            raise wrong_kind(field, "at least one name", asked)
        query += _items(field, asked)
    wanted = names(outputs)
    query += [("outputs", "true")] if wanted is True else _items("outputs", wanted or None)
    query += [("seeds", "true")] if seeds else []
    return query + ([("quantized", quantized)] if quantized is not None else [])


def _items(field: str, asked: str | Sequence[Target] | None) -> Query:
    if asked is None:
        return []
    if isinstance(asked, str):
        return [(field, asked)]
    items = [_item(item) for item in asked]
    if len(items) == 1 and items[0] in _WORDS:
        items *= 2  # two make a list, in which a word is a name
    return [(field, item) for item in items]


def _item(item: Target) -> str:
    if isinstance(item, str) and not item.startswith("["):
        return item
    return json.dumps([item] if isinstance(item, str) else list(item))


def save(
    transport: Transport, address: str, path: Path, query: Query, external: bool | None
) -> tuple[Path, ...]:
    """Write the file, and one with the weights beside it where that is wanted or needed.

    Args:
        transport: the service.
        address: the path of the net on it.
        path: of the file; what is there is replaced once all has come.
        query: what is asked for.
        external: whether there is a second file; by default where one cannot hold the weights.
    """
    weights = f"{path.name}.data"
    with TemporaryDirectory(dir=path.parent, prefix=".portgrad-") as folder:
        graph, data = Path(folder, "graph"), Path(folder, "data")
        if not external:
            try:
                _fetch(transport, address, query, graph)
            except PortgradError as error:
                if external is False or error.code != "file_too_large":
                    raise
                external = True
        if external:
            query = [*query, ("external", weights)]
            _fetch(transport, address, query, graph)
            try:
                _fetch(transport, address, [*query, ("location", weights)], data)
            except NotFoundError as error:  # what is small stays in the graph
                if error.code != "unknown_file":
                    raise
                data.unlink()
        # The graph comes last: where it is, all of it is.
        parts = {data: path.with_name(weights), graph: path}
        written = [part.replace(end) for part, end in parts.items() if part.exists()]
    return tuple(reversed(written))


def _fetch(transport: Transport, address: str, query: Query, path: Path) -> None:
    request: Mapping[str, Any] = {"params": query}
    with path.open("wb") as file:

        def receive(response: httpx.Response) -> None:
            file.seek(0)  # another try begins again
            file.truncate()
            for chunk in response.iter_bytes():
                file.write(chunk)

        transport.send(
            lambda: transport.build("GET", f"{address}/gradient.onnx", **request), receive
        )
