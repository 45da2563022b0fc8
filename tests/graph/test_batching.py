"""Nets exported at batch 1 that run as one batch, and those that are refused."""

from __future__ import annotations

import logging

import numpy as np
import onnx_ir as ir
import pytest

from portgrad.graph.batch.table import TABLE
from portgrad.graph.batching import apart, batched, examples, together
from support.batch_open import CLOSED, OPEN
from support.batch_refusals import REFUSED
from support.batch_rows import ACCEPTED
from support.batches import assert_batch_is_each, assert_open_batch_is_each, loaded, opened

# What onnxruntime does with no examples is its own affair: some kernels end the process,
# Attention refuses, and a Reshape to -1 (also inside an operator) cannot tell the missing size.
NEVER_EMPTY = {
    "lstm with a shared initial state",
    "rnn with an example's initial state",
    "gru",
    "a loss for each",
    "a symbolic length",
    "group norm",
    "attention",
    "features side by side",
}
TOKENS = """(float[1,3,4] x, float[1,1,4] c, float[8,2] w) => (y) {
    t = Concat<axis = 1>(c, x) f = Reshape(t, [1, 2, 8]) m = MatMul(f, w) y = Flatten(m) }"""


def ports_of(model: ir.Model) -> list[str]:
    return [str(value.name) for value in model.graph.inputs if str(value.name).startswith("x")]


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in ACCEPTED])
def test_a_batch_gives_what_single_runs_give(row: tuple[str, str, int]) -> None:
    title, text, axis, *opset = row
    model = loaded(text, *opset)
    found = assert_batch_is_each(model, ports_of(model), empty=title not in NEVER_EMPTY)
    assert found.axis["y"] == axis


def test_every_operator_of_the_table_has_a_row() -> None:
    models = [loaded(text, *opset) for _, text, _, *opset in ACCEPTED]
    assert {(node.domain, node.op_type) for model in models for node in model.graph} >= set(TABLE)


@pytest.mark.parametrize(("text", "reason"), [pytest.param(*r[1:], id=r[0]) for r in REFUSED])
def test_what_is_not_proven_is_refused(
    text: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = loaded(text)
    with caplog.at_level(logging.DEBUG, "portgrad.graph.batching"):
        assert batched(model, ports_of(model)) is None
    assert caplog.messages[-1].endswith(reason)


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in ACCEPTED])
def test_an_open_batch_gives_what_single_runs_give(row: tuple[str, str, int]) -> None:
    title, text, _, *opset = row
    model = loaded(opened(text), *opset)
    assert assert_open_batch_is_each(model, ports_of(model)) != (title in CLOSED)


@pytest.mark.parametrize(("text", "apart"), [pytest.param(*r[1:], id=r[0]) for r in OPEN])
def test_a_net_with_an_open_batch(text: str, apart: bool) -> None:
    model = loaded(text)
    assert assert_open_batch_is_each(model, ports_of(model)) == apart


@pytest.mark.parametrize(("text", "reason"), [pytest.param(*r[1:], id=r[0]) for r in REFUSED])
def test_what_is_not_proven_is_refused_of_an_open_batch_too(text: str, reason: str) -> None:
    model = loaded(opened(text))
    assert apart(model, ports_of(model)) is None


def test_the_net_itself_stays_as_it_was() -> None:
    model = loaded(TOKENS)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    assert batched(model, ["x"]) is not None
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_names_are_kept_and_tensors_shared() -> None:
    model = loaded(TOKENS)
    weight = ir.Tensor(np.ones((8, 2), np.float32), name="w")
    port = next(value for value in model.graph.inputs if value.name == "w")
    model.graph.inputs.remove(port)
    port.const_value = weight
    model.graph.register_initializer(port)
    found = batched(model, ["x"])
    assert found is not None
    names = {value.name for node in found.model.graph for value in node.outputs}
    assert names >= {value.name for node in model.graph for value in node.outputs}
    assert found.model.graph.initializers["w"].const_value is weight
    assert found.model.meta["opset"] == model.meta["opset"] == 21


def test_the_batch_is_a_symbol_that_the_net_does_not_use() -> None:
    model = loaded('(float[1,"batch"] x) => (y) { y = Relu(x) }')
    found = batched(model, ["x"])
    assert found is not None
    assert [str(size) for size in found.model.graph.inputs[0].shape or ()] == ["batch_", "batch"]
    assert [str(size) for size in found.model.graph.outputs[0].shape or ()] == ["batch_", "batch"]


def test_what_does_not_depend_on_the_batch_is_left_alone() -> None:
    model = loaded("(float[1,2] x, float[1,2] w) => (y, z) { y = Relu(x) z = Exp(w) }")
    found = batched(model, ["x"])
    assert found is not None
    assert found.axis == {"x": 0, "y": 0}


def test_a_port_without_a_fixed_batch_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="no fixed batch of 1"):
        batched(loaded("(float[2,2] x) => (y) { y = Relu(x) }"), ["x"])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_examples_come_to_the_front_and_back(axis: int) -> None:
    single = [np.full(np.insert([2, 5], axis, 1), float(n)) for n in range(3)]
    array = np.concatenate(single, axis)
    np.testing.assert_array_equal(examples(array, axis), np.stack(single))
    np.testing.assert_array_equal(together(examples(array, axis), axis), array)
