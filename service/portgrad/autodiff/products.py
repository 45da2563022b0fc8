"""Derivatives that are made of gradients: tangents pushed forward, and products with a Hessian.

A gradient graph is a net, and rules emit only operators with rules. So J t is the gradient of
<Jᵀs, t> with respect to the seed s, in which it is linear, and H t is that of <g, t>, where g is
the gradient.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir

from portgrad.autodiff.codes import EXACT, Quantized
from portgrad.autodiff.compile import (
    SEED,
    GradientGraph,
    Imposed,
    called,
    refuse_taken,
    swept,
    values_by_name,
)
from portgrad.autodiff.control.steady import inferred
from portgrad.autodiff.emitter import free_prefix
from portgrad.autodiff.interposed import detached
from portgrad.autodiff.placeholders import fill
from portgrad.autodiff.stacked import stack

JVP = "jvp/"
HVP = "hvp/"
TANGENT = "tangent/"


def jvp_graph(
    model: ir.Model,
    *,
    tangents: Sequence[str],
    of: Sequence[str],
    outputs: Sequence[str] = (),
    quantized: Quantized = EXACT,
    stacked: bool = False,
) -> GradientGraph:
    """The graph of how outputs move when targets do.

    Args:
        model: a normalised net; it is not changed, and its initializers are shared.
        tangents: names of targets that move, at least one: input ports, parameters or inner
            values. What moves an inner value adds to what the others do there.
        of: names of output ports or inner values.
        outputs: names of values to give out beside the tangents.
        quantized: as for `gradient_graph`.
        stacked: each tangent is K of them on a leading axis, and so is each result.

    Returns:
        A model whose inputs are the net's and `tangent/NAME` for each target, of exactly its
        dtype and shape, and whose outputs are `outputs` under their own names and then `jvp/NAME`
        for each of `of`, of its dtype and shape.

    Raises:
        Unsupported: as for `gradient_graph`.
    """
    moves, results = _named(TANGENT, tangents), called(model.graph, JVP, of)
    refuse_taken(model.graph, moves.values())
    prefix = free_prefix(model.graph)
    seeds, firsts = _named(f"{prefix}seed/", of), _named(f"{prefix}grad/", tangents)
    kept = list(dict.fromkeys([*outputs, *of, *tangents]))
    once = swept(
        model,
        firsts,
        of=of,
        given={name: Imposed(seed, fit="trusted") for name, seed in seeds.items()},
        outputs=kept,
        quantized=quantized,
        whole=True,
    )
    _look_again(once.model)
    twice = swept(
        once.model,
        {seeds[name]: results[name] for name in of},
        of=list(firsts.values()),
        given={firsts[name]: Imposed(moves[name], like=name, fit="exact") for name in tangents},
        outputs=list(dict.fromkeys([*kept, *_present(once)])),
        quantized=quantized,
        places=True,
    )
    _forget(twice.model, seeds, once.alike, outputs, results)
    if stacked:
        stack(twice.model.graph, list(moves.values()), list(results.values()))
    return _joined(once, twice)


def hvp_graph(
    model: ir.Model,
    *,
    wrt: Sequence[str],
    tangents: Sequence[str],
    of: Sequence[str],
    seeds: Sequence[str] = (),
    outputs: Sequence[str] = (),
    quantized: Quantized = EXACT,
    stacked: bool = False,
) -> GradientGraph:
    """The graph of how a gradient moves when targets do: products with second derivatives.

    Args:
        model: a normalised net; it is not changed, and its initializers are shared.
        wrt: names of the targets of the results.
        tangents: names of the targets that move, at least one.
        of: names of what is summed: output ports or inner values.
        seeds: those of `of` whose cotangent is imposed, as for `gradient_graph`.
        outputs: names of values to give out beside the products.
        quantized: as for `gradient_graph`.
        stacked: each tangent is K of them on a leading axis, and so is each product; the seeds
            are not.

    Returns:
        A model whose inputs are the net's, the seeds and `tangent/NAME` for each target that
        moves, of exactly its dtype and shape, and whose outputs are `outputs` under their own
        names and then `hvp/NAME` for each of `wrt`, of its dtype and shape: the derivative with
        respect to it of the sum of products of tangents and gradients.

    Raises:
        Unsupported: as for `gradient_graph`, also where a derivative has none.
    """
    moves, results = _named(TANGENT, tangents), called(model.graph, HVP, wrt)
    refuse_taken(model.graph, moves.values())
    net = detached(model, wrt)
    firsts = _named(f"{free_prefix(net.graph)}grad/", tangents)
    once = swept(
        net,
        firsts,
        of=of,
        given={name: Imposed(SEED + name) for name in seeds},
        outputs=list(dict.fromkeys([*outputs, *wrt, *tangents])),
        quantized=quantized,
    )
    _look_again(once.model)
    twice = swept(
        once.model,
        results,
        of=list(firsts.values()),
        given={firsts[name]: Imposed(moves[name], like=name, fit="exact") for name in tangents},
        outputs=outputs,
        quantized=quantized,
    )
    if stacked:
        stack(twice.model.graph, list(moves.values()), list(results.values()))
    return _joined(once, twice)


def _forget(
    model: ir.Model,
    seeds: Mapping[str, str],
    alike: Mapping[str, str],
    outputs: Sequence[str],
    results: Mapping[str, str],
) -> None:
    """Take the seeds, in which the graph is constant, away from it."""
    values = values_by_name(model.graph)
    fill(
        model,
        {values[seed]: values[name] for name, seed in seeds.items()},
        {values[a]: values[b] for a, b in alike.items() if {a, b} <= values.keys()},
        [values[name] for name in (*outputs, *results.values())],
    )


def _present(once: GradientGraph) -> Iterator[str]:
    """The values of a graph that others have the shape of."""
    values = values_by_name(once.model.graph)
    return (name for name in once.alike.values() if name in values)


def _look_again(model: ir.Model) -> None:
    """Write down shapes that rules left open: what is known need not be asked of the graph."""
    graph, prefix, count = model.graph, free_prefix(model.graph), itertools.count()
    inferred(graph, graph.opset_imports, lambda stem: f"{prefix}{next(count)}_{stem}")


def _named(prefix: str, names: Sequence[str]) -> dict[str, str]:
    return {name: prefix + name for name in names}


def _joined(once: GradientGraph, twice: GradientGraph) -> GradientGraph:
    """The second graph, with what the user should know of both."""
    return GradientGraph(twice.model, tuple(dict.fromkeys([*once.warnings, *twice.warnings])))
