"""What a call gives back: read-only mappings from name to array, and what came with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from portgrad_client.dtypes import Array


@dataclass(frozen=True, eq=False)
class Outputs(Mapping[str, Array]):
    """Outputs by name.

    Attributes:
        outputs: one array for each output.
        warnings: what might surprise.
        timings: seconds by stage: decode, queue, compile, run, encode, total.
        request_id: what the service's log calls the request.
    """

    outputs: Mapping[str, Array]
    warnings: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    request_id: str | None = None

    def __getitem__(self, name: str) -> Array:
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)


@dataclass(frozen=True, eq=False)
class Gradients(Mapping[str, Array]):
    """Gradients by tensor name.

    Attributes:
        gradients: one array for each tensor, in its own shape and dtype.
        targets: the resolved name of each item of `wrt`, in order.
        outputs: the outputs that were asked for, by name.
        none: tensors of a group that have no gradient, with the reason.
        warnings: zeros that might surprise.
        timings: seconds by stage: decode, queue, compile, run, encode, total.
        request_id: what the service's log calls the request.
    """

    gradients: Mapping[str, Array]
    targets: tuple[str, ...]
    outputs: Outputs
    none: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    request_id: str | None = None

    def __getitem__(self, name: str) -> Array:
        return self.gradients[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.gradients)

    def __len__(self) -> int:
        return len(self.gradients)
