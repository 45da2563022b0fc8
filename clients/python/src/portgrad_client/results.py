"""What a call gives back: read-only mappings by name, and what came with them.

Outputs     output → array              Tangents   output → array
Gradients   target → array              Products   target → array
Jacobian    output → target → array     Hessian    target → target → array
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from portgrad_client.dtypes import Array

V = TypeVar("V")


@dataclass(frozen=True, eq=False, kw_only=True)
class Answered(Mapping[str, V], Generic[V]):
    """What every answer has.

    Attributes:
        warnings: what might surprise.
        timings: seconds by stage: decode, queue, compile, run, encode, total.
        random_seed: where the call drew random numbers, what they were drawn from.
        request_id: what the service's log calls the request.
    """

    warnings: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    random_seed: int | None = None
    request_id: str | None = None

    @property
    @abstractmethod
    def _by_name(self) -> Mapping[str, V]:
        """The mapping that this one is."""

    def __getitem__(self, name: str) -> V:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


@dataclass(frozen=True, eq=False)
class Outputs(Answered[Array]):
    """Outputs by name.

    Attributes:
        outputs: one array for each output.
    """

    outputs: Mapping[str, Array]

    @property
    def _by_name(self) -> Mapping[str, Array]:
        return self.outputs


@dataclass(frozen=True, eq=False)
class Tangents(Answered[Array]):
    """Directional derivatives of outputs, by output name.

    Attributes:
        tangents: one array for each output, in its shape; where tangents were stacked, with an
            axis for them before it.
        outputs: the outputs that were asked for, by name.
    """

    tangents: Mapping[str, Array]
    outputs: Outputs

    @property
    def _by_name(self) -> Mapping[str, Array]:
        return self.tangents


@dataclass(frozen=True, eq=False, kw_only=True)
class Targeted(Answered[V]):
    """What every answer with respect to targets has.

    Attributes:
        targets: the resolved name of each item of `wrt`, in order.
        outputs: the outputs that were asked for, by name.
        none: tensors of a group that have no gradient, with the reason.
    """

    targets: tuple[str, ...]
    outputs: Outputs
    none: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Gradients(Targeted[Array]):
    """Gradients by tensor name.

    Attributes:
        gradients: one array for each tensor, in its own shape; an axis of stacked seeds comes
            before it, and that of examples where parameters have one gradient for each.
        diagnostics: what was asked for with `diagnostics=True`.
    """

    gradients: Mapping[str, Array]
    diagnostics: Mapping[str, Any] | None = None

    @property
    def _by_name(self) -> Mapping[str, Array]:
        return self.gradients


@dataclass(frozen=True, eq=False)
class Products(Gradients):
    """Products of a Hessian with tangents by tensor name; attributes as of `Gradients`."""


@dataclass(frozen=True, eq=False)
class Jacobian(Targeted[Mapping[str, Array]]):
    """Blocks by what they are of and then by target: `jacobian["Output"]["Input"]`.

    Attributes:
        blocks: arrays whose shape is that of the output followed by that of the target, after an
            axis of examples where `per_example` is true.
        per_example: whether each example has a block of its own.
        direction: how it was computed, forward or reverse; None for a Hessian.
    """

    blocks: Mapping[str, Mapping[str, Array]]
    per_example: bool
    direction: str | None = None

    @property
    def _by_name(self) -> Mapping[str, Mapping[str, Array]]:
        return self.blocks


@dataclass(frozen=True, eq=False)
class Hessian(Jacobian):
    """Blocks by two targets: `hessian["a"]["b"]`; attributes as of `Jacobian`.

    Those between two targets that examples share, as parameters are, are totals over them.
    """
