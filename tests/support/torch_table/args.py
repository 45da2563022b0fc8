"""One call of an operator as torch sees it: operands as tensors, attributes with their defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch

from support.rig import Row


class Args:
    """The operands and attributes of a row.

    Args:
        row: the row.
        targets: positions of the operands that gradients are asked for.
    """

    def __init__(self, row: Row, targets: Sequence[int] = ()) -> None:
        self.row = row
        self.tensors = [None if x is None else torch.from_numpy(np.array(x)) for x in row.inputs]
        for position in targets:
            self[position].requires_grad_()
        schema = onnx.defs.get_schema(row.op, row.opset, row.domain)
        self._attributes = {
            name: onnx.helper.get_attribute_value(attribute.default_value)
            for name, attribute in schema.attributes.items()
            if attribute.default_value.name
        }
        # A file holds attributes in float32.
        self._attributes |= {
            name: float(np.float32(value)) if isinstance(value, float) else value
            for name, value in row.attributes.items()
        }

    def __len__(self) -> int:
        return len(self.tensors)

    def __getitem__(self, position: int) -> torch.Tensor:
        found = self.tensors[position]
        assert found is not None
        return found

    def has(self, position: int) -> bool:
        """Whether an optional operand is there."""
        return position < len(self.tensors) and self.tensors[position] is not None

    def get(self, position: int) -> torch.Tensor | None:
        """An optional operand."""
        return self.tensors[position] if self.has(position) else None

    def ints(self, position: int) -> list[int]:
        """An operand that is a list of numbers."""
        return [int(n) for n in self[position].reshape(-1)]

    def __getattr__(self, name: str) -> Any:
        """An attribute, None where it has no default; bytes as text."""
        value = self._attributes.get(name)
        return value.decode() if isinstance(value, bytes) else value


Result = torch.Tensor | Sequence[torch.Tensor] | None
Function = Callable[[Args], Result]
