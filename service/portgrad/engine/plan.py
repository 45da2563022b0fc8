"""One call on a net with every name resolved, and the graph that computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from portgrad.autodiff import EXACT, GRADIENT, SEED, Quantized, gradient_graph
from portgrad.engine.arrays import Array, Value
from portgrad.engine.batches import shown
from portgrad.engine.sessions import Session, Weights
from portgrad.errors import RunFailed


@dataclass(frozen=True)
class Plan:
    """What is to be computed, by name; equal plans share a session.

    Attributes:
        wrt: the targets, each once.
        of: what is summed.
        seeds: those of `of` whose cotangent is imposed.
        outputs: the values to give out beside the gradients.
        quantized: whether gradients pass quantisers as the straight-through estimator has them.
    """

    wrt: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    quantized: Quantized = EXACT

    def compile(self, model: ir.Model, weights: Weights, threads: int) -> Compiled:
        """The plan's graph over a net, ready to run."""
        graph = gradient_graph(
            model,
            wrt=self.wrt,
            of=self.of,
            seeds=self.seeds,
            outputs=self.outputs,
            quantized=self.quantized,
        )
        held = {str(name): value.const_value for name, value in model.graph.initializers.items()}
        shapes = {
            name: tuple(tensor.numpy().shape)
            for name in self.wrt
            if (tensor := held.get(name)) is not None
        }
        return Compiled(self, Session(graph.model, weights, threads), graph.warnings, shapes)


@dataclass(frozen=True)
class Results:
    """Arrays of one run: gradients and outputs by name."""

    gradients: Mapping[str, Array]
    outputs: Mapping[str, Array]

    def mapped(self, change: Callable[[str, Array], Array]) -> Results:
        """Each array changed, given its name."""
        return Results(
            {name: change(name, array) for name, array in self.gradients.items()},
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
    """

    plan: Plan
    session: Session
    warnings: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]

    def run(self, data: Mapping[str, Value], seeds: Mapping[str, Array]) -> Results:
        """Run once.

        Args:
            data: an array for each input port.
            seeds: an array of the output's rank for each imposed gradient.
        """
        feeds = {**data, **{SEED + name: seed for name, seed in seeds.items()}}
        found = self.session.run(feeds)
        gradients = {name: found[GRADIENT + name] for name in self.plan.wrt}
        for name, gradient in gradients.items():
            target = data.get(name)
            known = target.shape if isinstance(target, np.ndarray) else self.shapes.get(name)
            if known is not None and gradient.shape != known:
                raise _wrong_shape(name, known, gradient.shape)
        return Results(gradients, {name: found[name] for name in self.plan.outputs})


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
