"""Nets in process, written as ONNX text, and what their calls answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

import portgrad
from portgrad.errors import PortgradError

Array = np.ndarray[Any, Any]


def net_bytes(
    body: str, weights: Mapping[str, Array] | None = None, *, opset: int = 21, **domains: int
) -> bytes:
    """A net from `(inputs) => (outputs) { nodes }` and its initializers."""
    imports = ", ".join([f'"" : {opset}', *(f'"ai.onnx.{d}" : {v}' for d, v in domains.items())])
    model = onnx.parser.parse_model(f"<ir_version: 10, opset_import: [{imports}]> net {body}")
    held = (weights or {}).items()
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in held)
    return model.SerializeToString()


def engine_net(
    body: str, weights: Mapping[str, Array] | None = None, **options: Any
) -> portgrad.Net:
    """The same, loaded."""
    return portgrad.load(net_bytes(body, weights, **options), threads=1)


def counted(*shape: int) -> Array:
    """1, 2, 3, … in float32."""
    return np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32).reshape(shape)


def random(*shape: int, seed: int = 0) -> Array:
    """Normal float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def refusal(call: Any) -> PortgradError:
    """The coded error that a call raises."""
    try:
        call()
    except PortgradError as error:
        return error
    raise AssertionError("nothing was raised")
