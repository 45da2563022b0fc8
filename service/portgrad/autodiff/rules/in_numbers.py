"""Operators on codes, told by what they make of the numbers behind the codes.

The estimator of such an operator is the gradient of that, between those of DequantizeLinear and
QuantizeLinear. Its shapes follow from the same function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from portgrad.autodiff.binding import Schema, versions_between
from portgrad.autodiff.composed import pull_back
from portgrad.autodiff.registry import shaped, straight_through, zero
from portgrad.autodiff.rules.quantisation import estimated
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN

WARNING = 'it computes codes, so its gradient is zero unless `quantized` is "straight_through"'
_SCALE, _ZERO = "_scale", "_zero_point"


def numbers_behind(op: Op, code: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """The numbers behind codes in float32, which share one scale."""
    steps = code if zero_point is None else code - op.single(zero_point)
    return op.shaped_as(steps * op.spread_scale(scale, code, 0, 0), code)


def through_numbers(op_type: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Register an operator on codes by what it makes of numbers.

    The function takes `op`, numbers for each operand of the schema that has a scale, other
    operands as they are, and attributes by keyword; it gives what is quantised.
    """
    [schema] = versions_between(op_type, DOMAIN, 1, None)
    names = [formal.name.lower() for formal in schema.inputs]
    out = schema.outputs[0].name.lower()

    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def shape(op: Op, *operands: Tensor | None, **named: Any) -> Tensor:
            given = dict(zip(names, operands, strict=True))
            numbers = [
                x if given.get(name + _SCALE) is None else op.single(x)
                for name, x in given.items()
                if x is not None and not name.endswith((_SCALE, _ZERO))
            ]
            return op.cast_like(function(op, *numbers, **named), _code(schema, given))

        def rule(op: Op, ct: Tensor, *operands: Tensor | None, **named: Any) -> list[Any]:
            result = named.pop(out)
            given = dict(zip(names, operands, strict=True))
            found = _estimate(op, ct, result, out, given, lambda *xs: function(op, *xs, **named))
            return [found.get(name) for name in names]

        kinds = inspect.signature(function).parameters.values()
        attributes = [p for p in kinds if p.kind in {p.KEYWORD_ONLY, p.VAR_KEYWORD}]
        result = inspect.Parameter(out, inspect.Parameter.KEYWORD_ONLY)
        _sign(rule, ["op", "ct", *names], [result, *attributes])
        _sign(shape, ["op", *names], attributes)
        shaped(op_type, domain=DOMAIN)(shape)
        zero(op_type, domain=DOMAIN, warning=WARNING)
        straight_through(op_type, domain=DOMAIN)(rule)
        return function

    return register


def _sign(function: Any, positional: list[str], keywords: list[inspect.Parameter]) -> None:
    """Give a function the parameters of a schema."""
    first = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in positional]
    function.__signature__ = inspect.Signature([*first, *keywords])


def _code(schema: Schema, given: Mapping[str, Tensor | None]) -> Tensor:
    """An operand of the result's dtype."""
    letter = schema.outputs[0].type_str
    return next(
        x
        for formal in schema.inputs
        if formal.type_str == letter and (x := given[formal.name.lower()]) is not None
    )


def _estimate(
    op: Op,
    ct: Tensor,
    result: Tensor,
    out: str,
    given: Mapping[str, Tensor | None],
    function: Callable[..., Tensor],
) -> dict[str, Tensor]:
    """Cotangents by operand: of codes, of their scales, and of the scale of the result."""
    codes, scales, operands = {}, {}, []
    for name, x in given.items():
        scale = given.get(name + _SCALE)
        if x is None or name.endswith((_SCALE, _ZERO)):
            continue
        if scale is None:
            operands.append(x)
            continue
        codes[name], scales[name + _SCALE] = op.single(x), op.single(scale)
        zero_point = given.get(name + _ZERO)
        operands.append(numbers_behind(op, codes[name], scales[name + _SCALE], zero_point))
    exact = op.shaped_as(function(*operands), result)
    scale, zero_point = given[out + _SCALE], given.get(out + _ZERO)
    assert scale is not None
    spread = op.spread_scale(op.single(scale), result, 0, 0)
    shift = None if zero_point is None else op.single(zero_point)
    ct_exact, ct_scale = estimated(op, ct, exact, spread, shift, result.dtype)
    targets = codes | scales
    found = dict(zip(targets, pull_back(op, exact, ct_exact, [*targets.values()]), strict=True))
    found[out + _SCALE] = op.sum_to_scale(ct_scale, scale, result, 0, 0)
    return {
        name: ct if name in codes else op.cast_like(ct, _present(given[name]))
        for name, ct in found.items()
    }


def _present(x: Tensor | None) -> Tensor:
    assert x is not None
    return x


def refuse_channels_last(channels_last: int) -> None:
    if channels_last:
        raise Unsupported("images with their channels last, as the runtime makes them for itself")
