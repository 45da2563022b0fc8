"""What each operator draws, in terms of the generator. The draws are constants for a gradient.

A function takes `op`, the node's key, the operands in the schema's order, and by keyword attributes
and `node`; it gives the outputs. What is drawn in half precision is drawn in float32 and rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from portgrad.autodiff.binding import Call, Signature, schema_of_node, versions_between
from portgrad.autodiff.randomness.generator import normal, uniform
from portgrad.autodiff.rules.regularization import RATIO
from portgrad.autodiff.sweep import label
from portgrad.autodiff.tensor import FLOATING, Tensor, dtype_of
from portgrad.autodiff.vocabulary import Vocabulary as Op

_DRAWN: dict[str, tuple[Callable[..., Any], Signature]] = {}
_Drawn = Callable[..., Any]


def numbered(node: ir.Node) -> bool:
    """Whether a node is of an operator that may draw."""
    return node.domain == "" and node.op_type in _DRAWN


def drawn(op: Op, key: Tensor, node: ir.Node) -> list[Tensor]:
    """The outputs of a node, said in operators that compute the same from the same key."""
    function, signature = _DRAWN[node.op_type]
    schema = schema_of_node(node, {"": op.opset})
    assert schema is not None, "an operator of this table is of the standard"
    call = Call(op, node, schema, ())
    results = function(op, key, *call.operands(), **call.named(signature))
    return list(results) if isinstance(results, tuple) else [results]


def _draw(op_type: str) -> Callable[[_Drawn], _Drawn]:
    def register(function: _Drawn) -> _Drawn:
        signature = Signature.of(function, leading=("op", "key"))
        for schema in versions_between(op_type, "", 1, None):
            signature.check(schema)
        _DRAWN[op_type] = function, signature
        return function

    return register


@_draw("RandomUniform")
def random_uniform(
    op: Op, key: Tensor, *, node: ir.Node, low: float, high: float, shape: list[int]
) -> Tensor:
    """Between two bounds."""
    like = op.ConstantOfShape(op.ints(*shape))
    return _moved(op, uniform(op, key, like, _working(node)), high - low, low, node)


@_draw("RandomUniformLike")
def random_uniform_like(
    op: Op, key: Tensor, input: Tensor, *, node: ir.Node, low: float, high: float
) -> Tensor:
    """The same, in the shape of a tensor."""
    return _moved(op, uniform(op, key, input, _working(node)), high - low, low, node)


@_draw("RandomNormal")
def random_normal(
    op: Op, key: Tensor, *, node: ir.Node, mean: float, scale: float, shape: list[int]
) -> Tensor:
    """With a mean and a deviation."""
    like = op.ConstantOfShape(op.ints(*shape))
    return _moved(op, normal(op, key, like, _working(node)), scale, mean, node)


@_draw("RandomNormalLike")
def random_normal_like(
    op: Op, key: Tensor, input: Tensor, *, node: ir.Node, mean: float, scale: float
) -> Tensor:
    """The same, in the shape of a tensor."""
    return _moved(op, normal(op, key, input, _working(node)), scale, mean, node)


@_draw("Bernoulli")
def bernoulli(op: Op, key: Tensor, input: Tensor, *, node: ir.Node) -> Tensor:
    """One with the given probability, else zero."""
    dtype = _wide(input.dtype)
    share, found = _cast(op, input, dtype), uniform(op, key, input, dtype)
    if dtype_of(node.outputs[0]) not in FLOATING:
        return _given(op, op.Less(found, share), node)
    # Through floats alone, so that a gradient meets a step and the warning of one.
    step = op.Sign(op.Relu(share - found))
    producer = step.value.producer()
    assert producer is not None, "Sign has just made it"
    producer.name = label(node)
    return _given(op, step, node)


@_draw("Multinomial")
def multinomial(op: Op, key: Tensor, input: Tensor, *, node: ir.Node, sample_size: int) -> Tensor:
    """The first class up to which the probabilities add up to more than a uniform number."""
    dtype = _wide(input.dtype)
    chances = op.Softmax(_cast(op, input, dtype), axis=-1)
    sums = op.CumSum(chances, op.index(1))
    whole = op.Gather(sums, [-1], axis=1)
    like = op.ConstantOfShape(op.Concat(op.size(input, 0), op.ints(sample_size), axis=0))
    # A uniform number is less than 1 by more than rounding: the last class that has a chance is
    # never passed.
    found = op.Unsqueeze(uniform(op, key, like, dtype) * whole, [2])
    passed = op.LessOrEqual(op.Unsqueeze(sums, [1]), found)
    counted = op.ReduceSum(op.Cast(passed, to=ir.DataType.INT64), [2], keepdims=0)
    return _given(op, counted, node)


@_draw("Dropout")
def dropout(
    op: Op, key: Tensor, data: Tensor, ratio: Tensor | None, training_mode: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Where the file fixes whether it is trained, `draws` has decided; else the data do."""
    dtype = _wide(data.dtype)
    share = op.constant(_number(RATIO, dtype)) if ratio is None else _cast(op, ratio, dtype)
    kept = op.GreaterOrEqual(uniform(op, key, data, dtype), share)
    factor = op.Where(kept, op.Reciprocal(1.0 - share), 0.0)
    if training_mode is not None and training_mode.constant is None:
        kept = op.Or(kept, op.Not(training_mode))
        factor = op.Where(training_mode, factor, 1.0)
    return data * op.cast_like(factor, data), kept


def _wide(dtype: ir.DataType) -> ir.DataType:
    return ir.DataType.DOUBLE if dtype == ir.DataType.DOUBLE else ir.DataType.FLOAT


def _working(node: ir.Node) -> ir.DataType:
    """The dtype that what a node gives is drawn in."""
    return _wide(dtype_of(node.outputs[0]))


def _cast(op: Op, x: Tensor, dtype: ir.DataType) -> Tensor:
    return x if x.dtype == dtype else op.Cast(x, to=dtype)


def _given(op: Op, x: Tensor, node: ir.Node) -> Tensor:
    """A result in the dtype of the node's output."""
    return _cast(op, x, dtype_of(node.outputs[0]))


def _moved(op: Op, x: Tensor, scale: float, start: float, node: ir.Node) -> Tensor:
    scaled = x if scale == 1.0 else x * scale
    return _given(op, scaled if start == 0.0 else scaled + start, node)


def _number(number: float, dtype: ir.DataType) -> Any:
    return dtype.numpy().type(number)
