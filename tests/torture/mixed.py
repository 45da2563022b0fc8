"""Everything that clients do, good and bad, by turns: what the soak is made of."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np

from support.formats import FORMATS, JSON, request
from torture.bombs import bodies, nets, wires
from torture.nets import written

PLAIN = "honest-layers"  # a net that is always there
X = np.ones((2, 4), np.float32)


class Mixed:
    """One client that does anything; what it saw that it should not have is in `wrong`."""

    def __init__(self, url: str, seed: int) -> None:
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._chance = random.Random(seed)
        self._http = httpx.Client(base_url=url, timeout=60)
        host, _, port = url.removeprefix("http://").partition(":")
        self._address = (host, int(port))
        self._ways: list[Callable[[], None]] = [
            self._life_of_a_net, self._every_call, self._every_call, self._bad_requests,
            self._bad_nets, self._reading, self._breaking_off, self._unfolding,
        ]  # fmt: skip

    def run(self, over: threading.Event, pause: float) -> None:
        """Until it is over."""
        while not over.wait(self._chance.uniform(0.5, 1.5) * pause):
            try:
                self._chance.choice(self._ways)()
            except httpx.HTTPError as error:
                self.wrong.append(repr(error))
        self._http.close()

    def _send(self, right: int | set[int], method: str, path: str, **sent: Any) -> httpx.Response:
        got = self._http.request(method, path, **sent)
        allowed = {right} if isinstance(right, int) else right
        self.answers[str(got.status_code)] += 1
        if got.status_code not in allowed:
            self.wrong.append(f"{method} {path[:80]}: {got.status_code} {got.text[:200]}")
        return got

    def _life_of_a_net(self) -> None:
        """Upload, names, a call, the gradient as a file, removal."""
        weights = np.random.default_rng(self._chance.randrange(2**32)).standard_normal(4)
        model = written(
            "(float[n, 4] x) => (float[n, 4] y) { h = Mul(x, w) y = Tanh(h) }",
            {"w": weights.astype(np.float32)},
        )
        net = self._send({200, 201}, "POST", "/nets", content=model).json()["id"]
        self._send(200, "GET", f"/nets/{net}")
        self._send(200, "POST", f"/nets/{net}/gradient", json={"data": X.tolist(), "wrt": "all"})
        self._send(200, "GET", f"/nets/{net}/gradient.onnx")
        self._send(200, "GET", f"/nets/{net}/model")
        self._send(204, "DELETE", f"/nets/{net}")
        self._send(404, "GET", f"/nets/{net}")

    def _every_call(self) -> None:
        """One of the calls in one of the formats."""
        kind = self._chance.choice(
            ("evaluate", "gradient", "jvp", "hvp", "jacobian", "hessian", "gradcheck")
        )
        moved = {"tangent/x": X} if kind in {"jvp", "hvp"} else {}
        options: dict[str, Any] = {"of": ["r"]} if kind == "hessian" else {}
        fmt = JSON if kind == "gradcheck" else self._chance.choice(FORMATS)
        sent = request(fmt, {"x": X, **moved}, **options)
        self._send({200, 422}, "POST", f"/nets/{PLAIN}/{kind}", **sent)

    def _bad_requests(self) -> None:
        """What cannot be read, or does not fit."""
        call, as_json = f"/nets/{PLAIN}/gradient", {"content-type": JSON}
        self._send(400, "POST", call, content=b'{"data": [', headers=as_json)
        self._send(415, "POST", call, content=b"<x/>", headers={"content-type": "text/xml"})
        self._send(422, "POST", call, json={"data": [[1, 2, 3]]})
        self._send(422, "POST", call, json={"data": X.tolist(), "wrt": "nothing"})
        self._send(422, "POST", call, json={"data": X.tolist(), "typo": 1})
        self._send(404, "POST", "/nets/nobody/gradient", json={"data": [1]})
        self._send(404, "GET", f"/{'x' * self._chance.randrange(1, 2000)}")
        self._send(405, "PATCH", "/nets")
        for fmt in FORMATS:
            noise = self._chance.randbytes(200)
            self._send(400, "POST", call, content=noise, headers={"content-type": fmt})

    def _bad_nets(self) -> None:
        """What is no net, or one that goes wrong."""
        self._send(422, "POST", "/nets", content=self._chance.randbytes(300))
        self._send(422, "POST", "/nets", content=nets.recursive_functions())
        own = nets.unlike(nets.endless_loop(), str(self._chance.random()))
        net = self._send({200, 201}, "POST", "/nets", content=own).json()["id"]
        late = {"data": [1, 2], "deadline": 0.2}
        self._send(504, "POST", f"/nets/{net}/evaluate", json=late)
        self._send(204, "DELETE", f"/nets/{net}")

    def _reading(self) -> None:
        """Lists, probes and pages."""
        for path in ("/nets?limit=5", "/healthz", "/readyz", "/openapi.json", "/operators"):
            self._send(200, "GET", path)

    def _breaking_off(self) -> None:
        """Bodies that end early, and callers who leave."""
        wires.aborted_bodies(self._address, 5)
        ask = json.dumps({"data": X.tolist()}).encode()
        wires.leaving(self._address, f"/nets/{PLAIN}/gradient", ask, 0.0)

    def _unfolding(self) -> None:
        """Bodies that are more than they seem."""
        call = f"/nets/{PLAIN}/gradient"
        deep = bodies.deep_json(10_000)
        self._send({400, 413}, "POST", call, content=deep, headers={"content-type": JSON})
        packed = {"content-type": JSON, "content-encoding": "gzip"}
        self._send(415, "POST", call, content=bodies.gzip_bomb(1), headers=packed)
