"""Nets with very many operands, ports and parameters: what is done for each looks at no other."""

from __future__ import annotations

import time

import pytest
from onnx import TensorProto, helper

from portgrad.engine import load

WIDE = 8000


def wide(*, ports: int, parameters: int) -> bytes:
    inputs = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, [1]) for i in range(ports)]
    held = [helper.make_tensor(f"w{i}", TensorProto.FLOAT, [1], [1.0]) for i in range(parameters)]
    names = [value.name for value in (*inputs, *held)]
    node = helper.make_node("Sum", names, ["y"], "sum")
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node], "wide", inputs, [output], held)
    opset = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()


def seconds(model: bytes) -> float:
    """Of the processor, to load and describe a net."""
    start = time.process_time()
    described = load(model).description.plain()
    assert len(described["inputs"]) + len(described["parameters"]) == WIDE
    return time.process_time() - start


@pytest.mark.parametrize("parameters", [0, WIDE - 1])
def test_a_wide_net_opens_in_time_that_grows_with_its_width(parameters: int) -> None:
    # It took 10 s and more while each operand looked at all the others.
    assert seconds(wide(ports=WIDE - parameters, parameters=parameters)) < 8


def test_slots_of_a_wide_node() -> None:
    net = load(wide(ports=1, parameters=12))
    slots, node = net.names.slots, next(iter(net._model.graph))
    assert [slots.operand_name(node, i) for i in (0, 9, 12)] == [
        "data_0.0", "data_0.9", "data_0.12",
    ]  # fmt: skip
    for index in range(13):
        assert slots.find(node, f"data_0.{index}") == [node.inputs[index]]
    for name in ("data_0", "data_0.13", "data_0.01", "data_0.-1", "data_0.", "data_0.1e0"):
        assert slots.find(node, name) == []
    assert slots.find(node, "sum") == [node.outputs[0]]
    assert slots.find(node, "data_0.99999999999999999999") == []
