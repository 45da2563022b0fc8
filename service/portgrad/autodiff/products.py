"""Derivatives that are made of gradients: tangents pushed forward, and products with a Hessian.

A gradient graph is a net, and rules emit only operators with rules. So J t is the gradient of
<Jᵀs, t> with respect to the seed s, in which it is linear, and H t is that of <g, t>, where g is
the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from portgrad.autodiff.codes import EXACT, Quantized
from portgrad.autodiff.compile import SEED, GradientGraph, Imposed, refuse_taken, swept
from portgrad.autodiff.emitter import free_prefix
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
    moves, results = _named(TANGENT, tangents), _named(JVP, of)
    refuse_taken(model.graph, [*moves.values(), *results.values()])
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
    )
    twice = swept(
        once.model,
        {seeds[name]: results[name] for name in of},
        of=list(firsts.values()),
        given={firsts[name]: Imposed(moves[name], like=name, fit="exact") for name in tangents},
        outputs=kept,
        quantized=quantized,
    )
    graph = twice.model.graph
    values = dict(zip(kept, graph.outputs, strict=False))
    fill(
        twice.model,
        {seeds[name]: values[name] for name in of},
        [*(values[name] for name in outputs), *graph.outputs[len(kept) :]],
    )
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
    moves, results = _named(TANGENT, tangents), _named(HVP, wrt)
    refuse_taken(model.graph, [*moves.values(), *results.values()])
    firsts = _named(f"{free_prefix(model.graph)}grad/", tangents)
    once = swept(
        model,
        firsts,
        of=of,
        given={name: Imposed(SEED + name) for name in seeds},
        outputs=list(dict.fromkeys([*outputs, *wrt, *tangents])),
        quantized=quantized,
    )
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


def _named(prefix: str, names: Sequence[str]) -> dict[str, str]:
    return {name: prefix + name for name in names}


def _joined(once: GradientGraph, twice: GradientGraph) -> GradientGraph:
    """The second graph, with what the user should know of both."""
    return GradientGraph(twice.model, tuple(dict.fromkeys([*once.warnings, *twice.warnings])))
