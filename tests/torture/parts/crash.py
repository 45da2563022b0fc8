"""A net that ends the runtime's process in native code: contained, quarantined, let go again.

The net is a real one: the quotient of the least int32 by -1 traps in the processor, and onnxruntime
1.32 does not look for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx

from torture.bombs import nets
from torture.crowd import crowd
from torture.plan import Plan
from torture.report import Clock, Row
from torture.service import serving

FATAL = {"data": {"a": [-(2**31)], "b": [-1], "x": 1}}
HARMLESS = {"data": {"a": [6], "b": [3], "x": 1}}
AFTER = 3


def run(plan: Plan) -> Iterator[Row]:
    """Rows in the order of what happens."""
    clock = Clock()
    folder = plan.place("crash")
    with (
        serving(folder, threads=1, quarantine_after=AFTER) as service,
        crowd(service.url, folder / "honest.jsonl") as honest,
        httpx.Client(base_url=service.url, timeout=60) as http,
    ):
        net = str(http.post("/nets", content=nets.dividing()).raise_for_status().json()["id"])
        yield _ends("crash: a harmless call of the net", [_call(http, net, HARMLESS)], "200", clock)
        crashes = [_call(http, net, FATAL) for _ in range(AFTER)]
        yield _ends("crash: calls that end a worker", crashes, "422 worker_crashed", clock)
        after = [_call(http, net, FATAL), _call(http, net, HARMLESS)]
        yield _ends("crash: the net after that", after, "422 net_quarantined", clock)
        other = _uploaded_again(http)
        yield _ends("crash: another net like it", [_call(http, other, HARMLESS)], "200", clock)
        listed = [one.get("id") for one in http.get("/quarantine").json().get("nets", [])]
        yield Row(
            "crash: told to operators", f"{len(listed)} listed", "1", listed == [net], clock()
        )
        released = http.delete(f"/quarantine/{net}")
        yield _ends("crash: an operator lets it go", [str(released.status_code)], "204", clock)
        yield _ends("crash: and it is served", [_call(http, net, HARMLESS)], "200", clock)
        honest.during(2)
        alive, workers = service.alive, len(service.workers())
    window = honest.everything()
    figure = f"{len(window.failed)} of {len(window.calls)} failed {window.ends()}".strip()
    yield Row("crash: honest calls meanwhile", figure, "0", not window.failed, clock())
    figure = f"HTTP process {'alive' if alive else 'dead'}, {workers} workers"
    yield Row("crash: supervised", figure, "alive, with workers", alive and workers > 0, clock())


def _call(http: httpx.Client, net: str, body: dict[str, object]) -> str:
    try:
        got = http.post(f"/nets/{net}/gradient", json=body)
    except httpx.HTTPError as error:
        return type(error).__name__
    code = "" if got.is_success else f" {got.json()['code']}"
    return f"{got.status_code}{code}"


def _uploaded_again(http: httpx.Client) -> str:
    """The same net under another id."""
    sent = nets.unlike(nets.dividing(), "twin")
    return str(http.post("/nets", content=sent).raise_for_status().json()["id"])


def _ends(name: str, found: list[str], right: str, clock: Clock) -> Row:
    counts = Counter(found)
    figure = ", ".join(f"{end} x{count}" for end, count in counts.most_common())
    return Row(name, figure, right, set(found) == {right}, clock())
