"""Operators without a slope: which ones are registered, and which warn."""

from __future__ import annotations

import onnx
import pytest

from portgrad.autodiff.registry import Zero, entries

FLOATING = {"tensor(float16)", "tensor(bfloat16)", "tensor(float)", "tensor(double)"}
QUANTISED = ["ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear"]
SURPRISING = ["Bernoulli", "BitCast", "Ceil", "Floor", "Hardmax", "MelWeightMatrix", "Multinomial",
              "Round", "Sign"]  # fmt: skip


def _never_floating(schema: onnx.defs.OpSchema) -> bool:
    types = {kind for output in schema.outputs for kind in output.types}
    return all(kind.startswith("tensor(") for kind in types) and not types & FLOATING


NEWEST = [s for s in onnx.defs.get_all_schemas() if s.domain == "" and not s.deprecated]


@pytest.mark.parametrize("name", sorted(s.name for s in NEWEST if _never_floating(s)))
def test_what_never_gives_floats_is_zero(name: str) -> None:
    assert all(isinstance(entry, Zero) for entry in entries()[("", name)])


def test_zeros_that_would_surprise_warn() -> None:
    warning = [
        name
        for (domain, name), found in entries().items()
        if not domain and isinstance(found[0], Zero) and found[0].warning
    ]
    assert sorted(warning) == sorted([*SURPRISING, *QUANTISED])
