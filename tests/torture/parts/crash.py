"""A net that ends the runtime's process in native code: contained, quarantined, let go again.

The net is a real one: the quotient of the least int32 by -1 traps in the processor, and onnxruntime
1.32 does not look for it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import httpx

from torture.bombs import nets
from torture.crowd import crowd
from torture.plan import Plan
from torture.report import Clock, Row
from torture.service import Service, serving
from torture.watch import Watch

FATAL = {"data": {"a": [-(2**31)], "b": [-1], "x": 1}}
HARMLESS = {"data": {"a": [6], "b": [3], "x": 1}}
AFTER = 3
QUARANTINED = "422 net_quarantined"


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
        yield _crashed(service, http, net, clock)
        after = [_call(http, net, FATAL), _call(http, net, HARMLESS)]
        yield _ends("crash: the net after that", after, QUARANTINED, clock)
        other = _uploaded_again(http)
        yield _ends("crash: another net like it", [_call(http, other, HARMLESS)], "200", clock)
        listed = [one["net"] for one in http.get("/quarantine").json()["nets"]]
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


def _crashed(service: Service, http: httpx.Client, net: str, clock: Clock) -> Row:
    """Calls until the net is quarantined: each ends a worker, or two where it is tried again."""
    found = []
    with Watch(service) as watch:
        while QUARANTINED not in found and len(found) <= AFTER:
            found.append(_call(http, net, FATAL))
            time.sleep(1)
    counts = Counter(found)
    figure = ", ".join(f"{end} x{count}" for end, count in counts.items())
    figure += f"; {watch.ended} workers"
    crashed = counts["422 worker_crashed"]
    ok = crashed > 0 and crashed + 1 == len(found) and counts[QUARANTINED] == 1
    goal = f"422 worker_crashed, then {QUARANTINED}; {AFTER} workers"
    return Row("crash: calls that end workers", figure, goal, ok and watch.ended == AFTER, clock())


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
