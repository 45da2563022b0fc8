"""A net that is being drawn at random, line by line, and data for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from support.engine import Array, net_bytes

T = TypeVar("T")


@dataclass(frozen=True)
class Value:
    """A value of a net: its name, and its sizes behind the batch."""

    name: str
    sizes: tuple[int, ...]


@dataclass
class Draft:
    """A net that is being drawn.

    Attributes:
        rng: makes the choices.
        weights: its initializers by name.
        ports: for each input port its sizes behind the batch; ids below a number where one is told.
        outputs: its output ports.
    """

    rng: np.random.Generator
    weights: dict[str, Array] = field(default_factory=dict)
    ports: dict[str, tuple[tuple[int, ...], int | None]] = field(default_factory=dict)
    outputs: list[Value] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)

    def pick(self, *options: T) -> T:
        """One of some things."""
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        """Whether something happens that happens so often."""
        return bool(self.rng.random() < share)

    def port(self, name: str, *sizes: int, below: int | None = None) -> Value:
        """An input port with an open batch in front."""
        self.ports[name] = sizes, below
        return Value(name, sizes)

    def weight(self, *sizes: int, scale: float | None = None) -> str:
        """A weight of normal numbers; by default so large that what it makes is about 1."""
        fan = float(np.prod(sizes[1:])) ** -0.5
        return self.hold(self.rng.standard_normal(sizes) * (fan if scale is None else scale))

    def vector(self, size: int, least: float = 0.0) -> str:
        """A weight for each of some channels, not below a number if that is above 0."""
        numbers = self.rng.standard_normal(size)
        return self.hold(np.abs(numbers) + least if least else numbers)

    def hold(self, array: Any) -> str:
        """An initializer, in float32 if it has floats."""
        array, name = np.asarray(array), f"w{len(self.weights)}"
        self.weights[name] = array.astype(np.float32) if array.dtype.kind == "f" else array
        return name

    def ints(self, *numbers: int) -> str:
        """A vector of whole numbers."""
        return self.hold(np.array(numbers))

    def op(self, operator: str, *operands: str, outputs: int = 1, **attributes: Any) -> str:
        """A node; its output, or several with commas between."""
        made = ", ".join(f"v{len(self._lines)}_{place}" for place in range(outputs))
        told = ", ".join(f"{name} = {_said(value)}" for name, value in attributes.items())
        told = f"<{told}>" if told else ""
        self._lines.append(f"{made} = {operator}{told}({', '.join(operands)})")
        return made

    def to_bytes(self) -> bytes:
        """The net."""
        ports = [
            f"{'float' if below is None else 'int64'}[N, {', '.join(map(str, sizes))}] {name}"
            for name, (sizes, below) in self.ports.items()
        ]
        outputs = {v.name: f"float[{', '.join('?' * (1 + len(v.sizes)))}] {v.name}"
                   for v in self.outputs}  # fmt: skip
        text = f"({', '.join(ports)}) => ({', '.join(outputs.values())})"
        return net_bytes(f"{text} {{ {' '.join(self._lines)} }}", self.weights)

    def data(self, examples: int) -> dict[str, Array]:
        """Arrays for its ports."""
        return {
            name: self.rng.standard_normal((examples, *sizes)).astype(np.float32)
            if below is None
            else self.rng.integers(1 - below, below, (examples, *sizes))
            for name, (sizes, below) in self.ports.items()
        }


def _said(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
