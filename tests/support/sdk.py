"""The SDK without sockets: against the application, or against answers made by hand."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import onnx

from portgrad_client import Client, Net
from portgrad_client import safetensors as codec
from support.formats import SAFETENSORS, to_safetensors
from support.http import AppClient

ADDRESS = "http://localhost"

# Input → layer1 → relu → layer2 → Output, small enough to differentiate by hand.
LAYERS = """
<ir_version: 10, opset_import: ["" : 21]>
layers (float[N,2] Input) => (float[N,1] Output)
<float[3,2] "layer1.weight" = {1,2,3,4,5,6}, float[3] "layer1.bias" = {-1,-2,-3},
 float[1,3] "layer2.weight" = {1,-1,2}> {
  hidden = Gemm<transB=1>(Input, "layer1.weight", "layer1.bias")
  active = Relu(hidden)
  Output = Gemm<transB=1>(active, "layer2.weight")
}
"""


def layers() -> bytes:
    return onnx.parser.parse_model(LAYERS).SerializeToString()


def connection(app: AppClient) -> httpx.MockTransport:
    """The application itself in place of a connection to it."""

    def forward(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        answer = app.request(request.method, path, headers=request.headers, content=request.content)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    return httpx.MockTransport(forward)


def pool(app: AppClient) -> httpx.Client:
    return httpx.Client(transport=connection(app))


def port(name: str, dtype: str = "float32", shape: Any = ("N", 2)) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": shape, "differentiable": True}


def description(
    inputs: list[dict[str, Any]] | None = None,
    outputs: list[dict[str, Any]] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return {
        "id": "5e" * 32,
        "names": ["mine"],
        "inputs": inputs or [port("Input")],
        "outputs": outputs or [port("Output")],
        "parameters": parameters or [],
    }


class Scripted:
    """A service that answers from a list, the last answer for ever, and keeps what came.

    It describes the net `mine` besides, which is not among the requests.
    """

    def __init__(self, *answers: httpx.Response | Exception, **described: Any) -> None:
        self.requests: list[httpx.Request] = []
        self._described = description(**described)
        self._answers = list(answers) or [answer({})]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and request.url.path == "/nets/mine":
            return httpx.Response(200, json=self._described)
        self.requests.append(request)
        following = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(following, Exception):
            raise following
        return following

    def client(self, **options: Any) -> Client:
        http = httpx.Client(transport=httpx.MockTransport(self))
        return Client(ADDRESS, http_client=http, **options)

    def net(self, **options: Any) -> Net:
        return self.client(**options).net("mine")

    @property
    def request(self) -> httpx.Request:
        """The only request."""
        (request,) = self.requests
        return request

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of the only request."""
        assert self.request.headers["content-type"] == SAFETENSORS
        return codec.decode(self.request.content)[0]

    @property
    def options(self) -> dict[str, Any]:
        return json.loads(self.request.url.params.get("options", "{}"))


def answer(arrays: dict[str, np.ndarray], **rest: Any) -> httpx.Response:
    """An answer in safetensors."""
    content = to_safetensors(arrays, {"answer": json.dumps({"warnings": [], **rest})})
    return httpx.Response(200, content=content, headers={"content-type": SAFETENSORS})
