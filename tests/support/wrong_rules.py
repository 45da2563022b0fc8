"""Rules that are wrong on purpose, for what is to find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import pytest

from portgrad.autodiff import registry
from portgrad.autodiff.registry import Call, Rule
from portgrad.autodiff.tensor import Tensor


@dataclass(frozen=True)
class Wrong(Rule):
    """A rule whose cotangents are too large."""

    factor: float = 1.5
    operand: int | None = None

    def __call__(self, call: Call) -> Sequence[Any]:
        """What the rule says, times the factor."""
        return [
            result * self.factor
            if isinstance(result, Tensor) and self.operand in (None, index)
            else result
            for index, result in enumerate(super().__call__(call))
        ]


def make_wrong(
    monkeypatch: pytest.MonkeyPatch,
    op_type: str,
    *,
    factor: float = 1.5,
    operand: int | None = None,
) -> None:
    """Let the rule of an operator send too much, to one operand or to all."""
    held = registry._ENTRIES["", op_type]
    wrong = [
        Wrong(
            **{f.name: getattr(entry, f.name) for f in fields(Rule)}, factor=factor, operand=operand
        )
        if isinstance(entry, Rule)
        else entry
        for entry in held
    ]
    assert wrong != held
    monkeypatch.setitem(registry._ENTRIES, ("", op_type), wrong)
