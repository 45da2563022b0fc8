"""Nets that draw at random, written as text, seeded and run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir

from portgrad.autodiff.randomness import say_batch_statistics, seed_port, seeded
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.double import runner

Arrays = dict[str, np.ndarray]


def loaded(text: str, opset: int = 21) -> ir.Model:
    """A net whose outputs declare no shape; `text` begins with its ports."""
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]> net {text}')
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return load(NetFiles(model.SerializeToString()))


def trained(text: str, opset: int = 21) -> ir.Model:
    """The same, seeded, in train mode."""
    return seeded(loaded(text, opset), train=True)


def run(model: ir.Model, feeds: Mapping[str, np.ndarray], seed: int = 0) -> list[np.ndarray]:
    """The outputs of a seeded net, by onnxruntime, with one seed."""
    said = model.clone()
    say_batch_statistics(said)
    proto = ir.to_proto(said)
    # The checker wants a rank at every port; what a loop gives may have none.
    if all(port.type.tensor_type.HasField("shape") for port in proto.graph.output):
        onnx.checker.check_model(proto, full_check=True)
    return runner(proto, engine="onnxruntime")({**feeds, **seed_feed(model, seed)})


def seed_feed(model: ir.Model, seed: int) -> Arrays:
    """The seed by the name of its input; nothing where the net has none."""
    port = seed_port(model.graph)
    return {} if port is None else {str(port.name): np.array(seed)}
