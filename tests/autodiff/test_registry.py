"""Rules that do not fit their operator fail when they are registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import pytest

from portgrad.autodiff import rules
from portgrad.autodiff.binding import Call, Signature
from portgrad.autodiff.emitter import schema_of
from portgrad.autodiff.registry import elementwise, entries, refuse, vjp, zero


def _no_ct(op: Any, x: Any) -> None: ...


def _wrong_operand(op: Any, ct: Any, x: Any) -> None: ...


def _wrong_keyword(op: Any, ct: Any, input: Any, *, axes: int) -> None: ...


def _missing_operand(op: Any, ct: Any, a: Any) -> None: ...


def _softmax(op: Any, ct: Any, input: Any, *, axis: int) -> None: ...


@pytest.mark.parametrize(
    ("register", "function", "message"),
    [
        (vjp("Softmax"), _no_ct, "first parameters must be op and ct"),
        (vjp("Softmax"), _wrong_operand, "operands are ['input']"),
        (vjp("Softmax"), _wrong_keyword, "no output or attribute is called ['axes']"),
        (vjp("Mul"), _missing_operand, "operands are ['a', 'b']"),
        (vjp("Softmaxx"), _softmax, "no operator 'Softmaxx'"),
        (vjp("Softmax"), _softmax, "ai.onnx.Softmax is registered twice"),
        (vjp("Softmax", since=13), _softmax, "ai.onnx.Softmax is registered twice"),
        (elementwise("Sin"), lambda op, x: x, "ai.onnx.Sin is registered twice"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(
    register: Callable[[Any], Any], function: Any, message: str
) -> None:
    before = {key: list(found) for key, found in entries().items()}
    with pytest.raises(TypeError) as refused:
        register(function)
    assert message in str(refused.value)
    assert entries() == before


@pytest.mark.parametrize("register", [zero, lambda op: refuse(op, because="no")])
def test_what_has_a_rule_is_not_listed_again(register: Callable[[str], None]) -> None:
    assert rules
    with pytest.raises(TypeError, match="registered twice"):
        register("Softmax")


def test_the_rest_are_the_attributes_that_no_keyword_names() -> None:
    def rule(op: Any, ct: Any, a: Any, b: Any, c: Any, *, alpha: float, **rest: Any) -> None: ...

    node = ir.Node("", "Gemm", [None, None], [ir.AttrInt64("transB", 1)])
    call = Call(None, node, schema_of("Gemm", 21), [])  # type: ignore[arg-type]
    named = call.named(Signature.of(rule))
    assert named == {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
