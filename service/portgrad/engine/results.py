"""What a call gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from portgrad.engine.arrays import Array


@dataclass(frozen=True, eq=False)
class Gradients(Mapping[str, Array]):
    """Gradients by tensor name, read-only.

    Attributes:
        gradients: one array for each tensor, in its own shape and dtype.
        targets: the resolved name of each item of `wrt`, in order.
        outputs: the outputs that were asked for, by name.
        none: tensors of a group that have no gradient, with the reason.
        warnings: zeros that might surprise.
        timings: seconds spent in `compile` and `run`.
    """

    gradients: Mapping[str, Array]
    targets: tuple[str, ...]
    outputs: Mapping[str, Array] = field(default_factory=dict)
    none: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Array:
        return self.gradients[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.gradients)

    def __len__(self) -> int:
        return len(self.gradients)


@dataclass(frozen=True, eq=False)
class Outputs(Mapping[str, Array]):
    """Outputs by name, read-only.

    Attributes:
        outputs: one array for each output.
        timings: seconds spent in `compile` and `run`.
    """

    outputs: Mapping[str, Array]
    timings: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Array:
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)
