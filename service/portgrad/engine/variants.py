"""Variants of a net: in double precision, in train mode, with parameters that come with the call.

A variant is a net of its own, made once from the normalised one. What is asked of it is planned,
compiled and run like everything else.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypedDict

import numpy as np
import onnx_ir as ir

from portgrad.autodiff import doubled
from portgrad.autodiff.randomness import (
    draws,
    seed_port,
    seeded,
    takes_batch_statistics,
    told_of_training,
)
from portgrad.engine.arrays import Array, ArrayLike, as_port_array, dtype_named
from portgrad.engine.batches import shown
from portgrad.engine.cache import Memo
from portgrad.engine.executor import Executor
from portgrad.engine.finding import Sessions
from portgrad.engine.limits import Limits
from portgrad.engine.weights import Weights
from portgrad.engine.words import nothing, word
from portgrad.errors import InvalidRequest
from portgrad.graph.double import retyped
from portgrad.graph.names import Names
from portgrad.graph.nearest import offer
from portgrad.graph.overrides import overridable, sizing
from portgrad.graph.types import shape_of, type_name

LARGEST_SEED = 2**63 - 1
_FRESH = 2**53  # seeds that we draw can be told in JSON, whatever reads it
# Of so many calls that differ in their words it is known what they mean on a variant.
_ASKED = 16
_NARROWER = {"float16", "bfloat16", "float32"}


class Settings(TypedDict, total=False):
    """How a net is run, in every call.

    Keys:
        parameters: values of parameters for this call alone, by name.
        mode: "test", the default, or "train": batch statistics and dropout.
        random_seed: what all draws depend on, from 0 to 2^63 - 1; by default a fresh one. A net
            that draws nothing ignores it.
        precision: "float64" runs the net in double precision; by default it runs in its own.
        batch: forces a reading of the shapes: as_is, example or each.
    """

    parameters: Mapping[str, ArrayLike] | None
    mode: str | None
    random_seed: int | None
    precision: str | None
    batch: str | None


class Variant(NamedTuple):
    """What is different from the net as it was uploaded; equal variants share what is compiled.

    Attributes:
        train: batch statistics and dropout.
        double: everything floating in float64.
        overridden: parameters whose values come with each call.
    """

    train: bool = False
    double: bool = False
    overridden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Base:
    """A net in one precision, which its variants share names and weights with."""

    model: ir.Model
    names: Names
    weights: Weights


class Port(NamedTuple):
    """What an input port takes: its type by name, and the dtype of arrays where it is a tensor."""

    kind: str
    dtype: np.dtype[Any] | None


@dataclass(frozen=True)
class View:
    """A variant, ready to be asked.

    Attributes:
        names: its ports, parameters and inner values.
        executor: what runs plans on it.
        seed: the input that all that it draws depends on; None where it draws nothing.
        double: whether everything floating is float64.
        asked: what the words of calls mean, by these.
        repeats: gradients that were asked for, by their words.
    """

    names: Names
    executor: Executor
    seed: str | None = None
    double: bool = False
    asked: Memo[Any, Any] = field(default_factory=lambda: Memo(_ASKED))
    repeats: Memo[Any, Any] = field(default_factory=lambda: Memo(_ASKED))

    @cached_property
    def ports(self) -> dict[str, Port]:
        """Its input ports by name."""
        return {name: _port(value) for name, value in self.names.inputs.items()}

    def widened(self, given: ArrayLike) -> ArrayLike:
        """A caller's array; in double precision from any narrower floating dtype."""
        if (
            self.double
            and isinstance(given, np.ndarray | np.generic)
            and given.dtype.name in _NARROWER
        ):
            return given.astype(np.float64)
        return given


def _port(value: ir.Value) -> Port:
    kind = type_name(value.type)
    return Port(kind, dtype_named(kind) if isinstance(value.type, ir.TensorType) else None)


@dataclass(frozen=True)
class Setting:
    """A view with what is fed to it beside the data.

    Attributes:
        view: the variant.
        batch: the reading of shapes to force.
        feeds: values of overridden parameters, and the random seed.
        random_seed: the seed, None where nothing draws.
    """

    view: View
    batch: str | None = None
    feeds: Mapping[str, Array] = field(default_factory=dict)
    random_seed: int | None = None


class Variants:
    """The variants of one net; safe to use from several threads.

    Args:
        key: the net's id.
        model: the normalised net.
        names: its names.
        sessions: where variants and what they compile are kept.
        threads: threads for each run.
        limits: how much may be computed before and during a run.
    """

    def __init__(
        self,
        key: str,
        model: ir.Model,
        names: Names,
        sessions: Sessions,
        *,
        threads: int,
        limits: Limits,
    ) -> None:
        self._key = key
        self._native = Base(model, names, Weights(model))
        self._sessions = sessions
        self._threads = threads
        self._limits = limits
        self._draws = draws(model)
        self._sizing = sizing(model.graph)
        self.plain = self._view(Variant(), model, self._native)
        self._plainly = Setting(self.plain)

    def setting(
        self,
        *,
        parameters: Mapping[str, ArrayLike] | None = None,
        mode: str | None = None,
        random_seed: int | None = None,
        precision: str | None = None,
        batch: str | None = None,
    ) -> Setting:
        """The variant that a call asks for, with its values.

        Raises:
            InvalidRequest: `invalid_field` for a value that does not exist, `unknown_parameter`,
                `wrong_parameter_shape` and what `as_port_array` raises.
        """
        own = mode is None and precision is None and random_seed is None
        if own and not self._draws and nothing(parameters):
            return self._plainly if batch is None else Setting(self.plain, batch)
        variant = Variant(
            word("mode", mode, ("test", "train")) == "train",
            word("precision", precision, ("native", "float64")) == "float64",
            tuple(sorted(_checked_names(self.plain.names, self._sizing, parameters))),
        )
        view = self._get(variant)
        feeds: dict[str, Array] = {
            name: _override(view, name, value) for name, value in (parameters or {}).items()
        }
        seed = _seed(random_seed)
        if view.seed is None:
            return Setting(view, batch, feeds)
        seed = secrets.randbelow(_FRESH) if seed is None else seed
        feeds[view.seed] = np.asarray(seed, np.int64)
        return Setting(view, batch, feeds, seed)

    def _get(self, variant: Variant) -> View:
        if variant == Variant() and not self._draws:
            return self.plain
        view: View = self._sessions.get((self._key, "view", variant), lambda: self._made(variant))
        return view

    def _made(self, variant: Variant) -> View:
        base = self._doubled() if variant.double else self._native
        if not variant.train and not self._draws:
            return self._view(variant, overridable(base.model, variant.overridden), base)
        # What is drawn is drawn in the net's own precision, so that both draw the same.
        model = seeded(overridable(self._native.model, variant.overridden), train=variant.train)
        return self._view(variant, doubled(model) if variant.double else model, base)

    def _doubled(self) -> Base:
        def made() -> Base:
            model = doubled(self._native.model)
            # Operators that are said in others keep their names, and what says them has none.
            names = Names(retyped(self._native.model))
            return Base(model, names, Weights(model))

        base: Base = self._sessions.get((self._key, "double"), made)
        return base

    def _view(self, variant: Variant, model: ir.Model, base: Base) -> View:
        port = seed_port(model.graph)
        seed = None if port is None else str(port.name)
        executor = Executor(
            (self._key, variant),
            model,
            base.names,
            weights=base.weights,
            seed=seed,
            meet=variant.train and takes_batch_statistics(model),
            warnings=told_of_training(self._native.model) if variant.train else (),
            sessions=self._sessions,
            threads=self._threads,
            limits=self._limits,
        )
        return View(base.names, executor, seed, variant.double)


def _seed(given: int | None) -> int | None:
    whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
    if given is None or (whole and 0 <= given <= LARGEST_SEED):
        return None if given is None else int(given)
    raise InvalidRequest(
        "The field `random_seed` is no seed.",
        code="invalid_field",
        where="random_seed",
        expected="a whole number from 0 to 2^63 - 1",
        found=repr(given)[:80],
        remedy="Leave it out for a fresh one.",
    )


def _checked_names(
    names: Names, sizing: Mapping[str, str], parameters: Mapping[str, ArrayLike] | None
) -> list[str]:
    if parameters is None:
        return []
    if not isinstance(parameters, Mapping):
        raise InvalidRequest(
            "`parameters` is no mapping from names to arrays.",
            code="invalid_field",
            where="parameters",
            expected="an array by the name of each parameter to override",
            found=type(parameters).__name__,
        )
    for name in parameters:
        _check_name(names, sizing, name)
    return list(parameters)


def _check_name(names: Names, sizing: Mapping[str, str], name: str) -> None:
    where = f"parameters.{name}"
    if name not in names.parameters:
        raise InvalidRequest(
            f"The net has no parameter {name!r}.",
            code="unknown_parameter",
            where=where,
            expected="the name of a parameter",
            found=f"{name!r}",
            remedy=f"`{name}` is an input port: its array belongs into the data."
            if name in names.inputs
            else offer(str(name), names.parameters)
            or "The net's description lists its parameters.",
        )
    reason = names.none_reason(names.parameters[name]) or sizing.get(name)
    if reason is not None:
        raise InvalidRequest(
            f"The parameter {name!r} cannot be overridden: {reason}.",
            code="not_overridable",
            where=where,
            expected="a parameter that has a gradient and from which no sizes follow",
            found=reason,
            remedy="Upload the net with the value that it should have.",
        )


def _override(view: View, name: str, given: ArrayLike) -> Array:
    """The value of an overridden parameter, in the variant's dtype."""
    value, where = view.names.parameters[name], f"parameters.{name}"
    array = as_port_array(view.widened(given), type_name(value.type), where)
    shape = shape_of(value)
    if array.shape != shape:
        raise InvalidRequest(
            f"The array for the parameter {name!r} does not have its shape.",
            code="wrong_parameter_shape",
            where=where,
            expected=shown(shape),
            found=shown(array.shape),
            remedy="Send one number for each element of the parameter.",
        )
    return array
