"""One call on a net with every name resolved, and the graph that computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import onnx_ir as ir

from portgrad.autodiff import (
    EXACT,
    TANGENT,
    GradientGraph,
    Quantized,
    gradient_graph,
    hvp_graph,
    jvp_graph,
    moved_graph,
)
from portgrad.engine.arrays import Array, Shapes, Value
from portgrad.engine.batches import Reading, shown
from portgrad.engine.cache import Memo
from portgrad.engine.limits import LIMITS, Limits
from portgrad.engine.sessions import KNOWN_SHAPES, Session
from portgrad.engine.weights import Weights
from portgrad.errors import RunFailed
from portgrad.graph.batching import Axes

Kind = Literal["gradient", "jvp", "hvp", "moved"]


@dataclass(frozen=True)
class Plan:
    """What is to be computed, by name; equal plans share a session.

    Attributes:
        kind: gradient (a plain evaluation is one without targets), jvp or hvp; moved: the outputs
            where `tangents` have been added to the values of their names.
        wrt: the targets, each once; none for a jvp.
        of: what is summed; for a jvp whose tangents are asked for.
        seeds: those of `of` whose cotangent is imposed.
        tangents: the values that tangents are given at, for a jvp or hvp.
        outputs: the values to give out beside the derivatives.
        quantized: whether gradients pass quantisers as the straight-through estimator has them.
        stacked: whether many seeds (of a gradient) or tangents lie on a leading axis.
        apart: whether the examples must not meet. The gradients of what they share then have a
            leading axis for them; products with Hessians stay totals.
    """

    wrt: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    quantized: Quantized = EXACT
    kind: Kind = "gradient"
    tangents: tuple[str, ...] = ()
    stacked: bool = False
    apart: bool = False

    @cached_property
    def key(self) -> str:
        """What tells it from all plans that are not equal; a text knows its hash."""
        return repr(self)

    @cached_property
    def results(self) -> tuple[str, ...]:
        """The names of the derivatives: targets, or outputs for a jvp."""
        return self.of if self.kind == "jvp" else self.wrt

    @property
    def keeps_apart(self) -> bool:
        """Whether gradients of what the examples share have a leading axis for these."""
        return self.apart and self.kind == "gradient"

    def stacks(self, feed: str) -> bool:
        """Whether an imposed array, by the name of its feed, has the leading axis of a stack."""
        return self.stacked and (self.kind == "gradient" or feed.startswith(TANGENT))

    def compile(
        self,
        model: ir.Model,
        weights: Weights,
        threads: int,
        apart: Axes | None = None,
        limits: Limits = LIMITS,
        *,
        one: bool = False,
    ) -> Compiled:
        """The plan's graph over a net, ready to run.

        Args:
            model: the normalised net.
            weights: its weights.
            threads: threads for each run.
            apart: where each value has its examples, to keep them apart.
            limits: how much may be computed before and during a run.
            one: whether it is for one example alone, with all sizes in the net known.

        Raises:
            NotApart: the gradients of parameters cannot be kept apart.
            Unsupported: an operator has no derivative, or the runtime cannot run it.
        """
        held = {str(name): value.const_value for name, value in model.graph.initializers.items()}
        shapes = {
            name: tuple(tensor.numpy().shape)
            for name in self.wrt
            if (tensor := held.get(name)) is not None
        }
        graph = self._graph(model, apart)
        session = Session(graph.model, weights, threads, limits)
        session.sized = one
        shared = set() if apart is None else set(self.wrt).difference(apart)
        leads = {name: self.stacked + (name in shared) for name in self.wrt}
        return Compiled(self, session, graph.warnings, shapes, leads, one=one)

    def _graph(self, model: ir.Model, apart: Axes | None) -> GradientGraph:
        if self.kind == "jvp":
            return jvp_graph(
                model,
                tangents=self.tangents,
                of=self.of,
                outputs=self.outputs,
                quantized=self.quantized,
                stacked=self.stacked,
            )
        if self.kind == "moved":
            return moved_graph(model, moves=self.tangents, outputs=self.outputs)
        if self.kind == "hvp":
            return hvp_graph(
                model,
                wrt=self.wrt,
                tangents=self.tangents,
                of=self.of,
                seeds=self.seeds,
                outputs=self.outputs,
                quantized=self.quantized,
                stacked=self.stacked,
            )
        return gradient_graph(
            model,
            wrt=self.wrt,
            of=self.of,
            seeds=self.seeds,
            outputs=self.outputs,
            quantized=self.quantized,
            stacked=self.stacked,
            apart=apart,
        )


def entrywise(stack: Array, change: Callable[[Array], Array]) -> Array:
    """A stack with each entry changed; the stack itself where none is, as copies are large."""
    entries = list(stack)
    changed = [change(entry) for entry in entries]
    same = all(new is old for new, old in zip(changed, entries, strict=True))
    return stack if same else np.stack(changed)


@dataclass(eq=False)  # to make one that is frozen takes five times as long
class Results:
    """Arrays of one run: derivatives and outputs by name."""

    derivatives: Mapping[str, Array]
    outputs: Mapping[str, Array]

    def mapped(self, change: Callable[[str, Array], Array], *, stacked: bool = False) -> Results:
        """Each array changed, given its name; derivatives in a stack one by one."""

        def each(name: str, array: Array) -> Array:
            return entrywise(array, lambda one: change(name, one))

        changed = each if stacked else change
        return Results(
            {name: changed(name, array) for name, array in self.derivatives.items()},
            {name: change(name, array) for name, array in self.outputs.items()},
        )


@dataclass(frozen=True)
class Compiled:
    """A plan with its session.

    Attributes:
        plan: what is computed.
        session: what computes it.
        warnings: what its user should know.
        shapes: the shapes of those targets that are parameters.
        leads: how many axes the derivative at each target has before the target's own.
        as_is: how calls were read that were run as they are, by the shapes of what was fed.
        one: whether it is for one example alone.
    """

    plan: Plan
    session: Session
    warnings: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    leads: Mapping[str, int] = field(default_factory=dict)
    as_is: Memo[Shapes, Reading] = field(default_factory=lambda: Memo(KNOWN_SHAPES))
    one: bool = False

    def run(
        self,
        data: Mapping[str, Value],
        imposed: Mapping[str, Array],
        shapes: Shapes | None = None,
    ) -> Results:
        """Run once.

        Args:
            data: an array for each input port, and for what else the variant of the net reads.
            imposed: an array for each `seed/NAME`, of the output's rank, and `tangent/NAME`.
            shapes: those of all of these, where they are known.
        """
        feeds = {**data, **imposed} if imposed else data
        found, count = self.session.run(feeds, self.check_shapes, shapes), len(self.plan.outputs)
        return Results(
            dict(zip(self.plan.results, found[count:], strict=True)),
            dict(zip(self.plan.outputs, found[:count], strict=True)),
        )

    def check_shapes(self, feeds: Mapping[str, Value], found: Sequence[Array]) -> None:
        """Refuse derivatives that have another shape than what they are with respect to.

        Args:
            feeds: what was fed, by name.
            found: outputs, and after these the derivatives, as the graph gives them.

        Raises:
            RunFailed: `wrong_gradient_shape`.
        """
        derivatives = dict(zip(self.plan.results, found[len(self.plan.outputs) :], strict=True))
        for name in self.plan.wrt:
            target, shape = feeds.get(name), derivatives[name].shape
            known = target.shape if isinstance(target, np.ndarray) else self.shapes.get(name)
            if known is not None and shape[self.leads.get(name, 0) :] != known:
                raise _wrong_shape(name, known, shape)


def _wrong_shape(name: str, known: tuple[int, ...], found: tuple[int, ...]) -> RunFailed:
    """Sizes inside the net were not those that it declares: the numbers cannot be right."""
    return RunFailed(
        f"The gradient of {name!r} came out in another shape than {name!r} has.",
        code="wrong_gradient_shape",
        where=name,
        expected=shown(known),
        found=shown(found),
        remedy="The net declares shapes inside that do not hold for these data; export it again.",
    )
