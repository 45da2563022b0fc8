"""The peers' own servers on the same product, eight units of tanh, in times of Portgrad's call.

Tesseract is served by its own runtime without a container and asked by its SDK, which sends
arrays as base64; UM-Bridge is served by its own server and asked by its client. Both compute the
product in numpy, in the process that answers requests. `as JSON` is the same client for UM-Bridge
and for Portgrad: one kept connection, numbers written and read with orjson.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from benchmarks.given import Given
from benchmarks.peers import installed
from benchmarks.rows import Row
from benchmarks.serving import nets
from benchmarks.serving.calls import as_json, check, point
from benchmarks.serving.program import portgrad
from benchmarks.serving.turns import Call, by_turns
from portgrad_client import Client

TABLE = "Peers' own servers, in times of Portgrad's call"
SIZES = {16: "16 floats", 1_000_000: "1M floats (4 MB each way)"}
PEERS = {"Tesseract": "tesseract", "UM-Bridge": "um_bridge"}
OURS, AS_JSON = "Portgrad", "Portgrad as JSON"


def rows(given: Given) -> Iterator[Row]:
    """How many times as long as Portgrad's SDK each takes."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        service = stack.enter_context(portgrad(folder / "portgrad"))
        client = stack.enter_context(Client(service.url))
        peers: list[tuple[ModuleType, str]] = []
        for title, name in PEERS.items():
            try:
                python, peer = (
                    installed.python(given.folder),
                    import_module(f"benchmarks.peers.{name}"),
                )
            except (ImportError, installed.NotInstalledError) as error:
                note = f"not installed: {error}"
                yield from (
                    Row(TABLE, what, None, column=title, note=note) for what in SIZES.values()
                )
                continue
            url = stack.enter_context(peer.serving(folder / name, python, tuple(SIZES))).url
            peers.append((peer, url))
        for size, what in SIZES.items():
            x, net = point(size), client.upload(nets.tanh_mlp(size))
            calls: dict[str, Call] = {OURS: lambda net=net, x=x: net.gradient(x)["Input"]}
            calls[AS_JSON] = as_json(service.url, net, x)
            for peer, url in peers:
                calls |= peer.calls(url, x[0])
            yield from _rows(what, calls, size, given)


def _rows(what: str, calls: dict[str, Call], size: int, given: Given) -> Iterator[Row]:
    for call in calls.values():
        check(call(), size)
    times = by_turns(calls, 50 if size == min(SIZES) else 1, given.rounds)
    for column, each in times.items():
        if column in {OURS, AS_JSON}:
            continue
        ours = times[AS_JSON if "JSON" in column else OURS]
        ratio = each.over(ours)
        note = f"{each.p50.median:,.3g} ms, Portgrad's {ours.p50.median:,.3g} ms"
        yield Row(
            TABLE,
            what,
            ratio.median,
            1.0,
            spread=ratio.quartiles,
            note=note,
            column=column,
            at_least=True,
            raw=ratio.raw,
        )
