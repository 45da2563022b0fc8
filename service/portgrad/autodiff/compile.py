"""From (net, wrt, of) to one ONNX graph that computes outputs and gradients.

The stages in their order: `unpacking`; what is active, with `bodies` in place of their operators;
shapes of loops (`control/steady`); `recognise`; the `sweep`; what nobody needs is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from portgrad.autodiff.bodies import expand, has_body
from portgrad.autodiff.codes import EXACT, STRAIGHT_THROUGH, Codes, Quantized
from portgrad.autodiff.control.steady import settle
from portgrad.autodiff.cuts import integer_cuts
from portgrad.autodiff.infer import complete
from portgrad.autodiff.nesting import with_inner
from portgrad.autodiff.recognise import StandIn, recognise
from portgrad.autodiff.sweep import Sweep, active
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.unpacking import unpack
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.errors import InvalidRequest
from portgrad.graph import pads
from portgrad.graph.scopes import tell_apart

GRADIENT = "grad/"
SEED = "seed/"


@dataclass(frozen=True)
class GradientGraph:
    """A compiled gradient: the graph and what its user should know of it."""

    model: ir.Model
    warnings: tuple[str, ...]


def gradient_graph(
    model: ir.Model,
    *,
    wrt: Sequence[str],
    of: Sequence[str],
    seeds: Sequence[str] = (),
    outputs: Sequence[str] = (),
    quantized: Quantized = EXACT,
) -> GradientGraph:
    """The graph of the gradients of a sum of outputs.

    Args:
        model: a normalised net; it is not changed, and its initializers are shared.
        wrt: names of targets: input ports, parameters or inner values.
        of: names of what is summed: output ports or inner values.
        seeds: those of `of` whose cotangent is imposed, as an input `seed/NAME` of the output's
            rank that broadcasts to its shape; the others get ones.
        outputs: names of values to give out beside the gradients.
        quantized: what becomes of gradients where numbers are quantised: "exact", where it is
            zero, or "straight_through", the estimator's.

    Returns:
        A model whose inputs are the net's and the seeds, and whose outputs are `outputs` under
        their own names and then `grad/NAME` for each target, with the target's dtype and shape.

    Raises:
        Unsupported: an operator on a path from a target to an output has no derivative.
    """
    twin = model.clone()
    graph = twin.graph
    taken = [*(GRADIENT + name for name in wrt), *(SEED + name for name in seeds)]
    _refuse_taken(values_by_name(graph), taken)
    opsets = dict(graph.opset_imports)
    codes = Codes(opsets) if quantized == STRAIGHT_THROUGH else None
    op = Vocabulary(graph, opsets[""])
    tell_apart(graph, op.fresh, parameters=True)
    unpack(graph, op.fresh)
    nodes, wanted = _path(twin, wrt, of, codes)
    settle(graph, opsets, op.fresh)
    complete(graph)
    values = values_by_name(graph)
    starts, ends = ([values[name] for name in names] for names in (wrt, of))
    cuts = list(integer_cuts(graph, starts, ends, codes))  # the sweep rebuilds loops
    stand_ins = recognise(op, nodes, {values[name] for name in (*wrt, *of, *outputs)})
    if stand_ins:
        nodes, wanted = _path(twin, wrt, of, codes)
        values = values_by_name(graph)
    sweep = Sweep(op, opsets, codes)
    for name in of:
        seed = _seed(op, values[name], imposed=name in seeds)
        if values[name] in wanted:
            sweep.accumulate(values[name], seed)
    sweep.run(nodes, wanted)
    warnings = dict.fromkeys([*sweep.warnings, *cuts])
    gradients = [_result(op, sweep, values[name]) for name in wrt]
    unpack(graph, op.fresh)
    _finish(twin, [values[name] for name in outputs], gradients, stand_ins)
    return GradientGraph(twin, tuple(warnings))


def _path(
    model: ir.Model, wrt: Sequence[str], of: Sequence[str], codes: Codes | None
) -> tuple[list[ir.Node], set[ir.Value]]:
    """What is active, with operators that only have a function body replaced by it."""
    opsets = dict(model.graph.opset_imports)
    while True:
        values = values_by_name(model.graph)  # those of a replaced node are new ones
        starts, ends = ([values[name] for name in names] for names in (wrt, of))
        nodes, wanted = active(model.graph, starts, ends, codes)
        bodies = [node for node in with_inner(nodes) if has_body(node, opsets)]
        if not bodies:
            return nodes, wanted
        expand(model, bodies)


def values_by_name(graph: ir.Graph) -> dict[str, ir.Value]:
    """Every named value of the main graph."""
    found = {str(name): value for name, value in graph.initializers.items()}
    found |= {str(value.name): value for value in graph.inputs}
    found |= {str(v.name): v for node in graph for v in node.outputs if v.name}
    return found


def _refuse_taken(values: Iterable[str], names: list[str]) -> None:
    for name in sorted(set(values).intersection(names)):
        raise InvalidRequest(
            f"The net itself has a value called {name!r}, the name of this request's result.",
            code="ambiguous_name",
            where=name,
            remedy="Rename the value in the net.",
        )


def _seed(op: Vocabulary, output: ir.Value, *, imposed: bool) -> Tensor:
    like = op.wrap(output)
    if not imposed:
        return op.ones_like(like)
    seed = ir.Value(name=SEED + str(output.name), type=ir.TensorType(like.dtype))
    if like.rank is not None:
        seed.shape = ir.Shape([None] * like.rank)
    op.graph.inputs.append(seed)
    # Expand broadcasts both ways; the reshape fails where the seed is larger than its output.
    return op.reshape_like(op.Expand(op.wrap(seed), op.Shape(like)), like)


def _result(op: Vocabulary, sweep: Sweep, target: ir.Value) -> ir.Value:
    ct = sweep.cotangent(target)
    like = op.wrap(target)
    result = op.alias(ct if ct is not None else op.zeros_like(like), GRADIENT + str(target.name))
    return op.shaped_as(op.wrap(result), like).value


def _finish(
    model: ir.Model,
    outputs: list[ir.Value],
    gradients: list[ir.Value],
    stand_ins: Iterable[StandIn],
) -> None:
    graph = model.graph
    graph.outputs.clear()
    graph.outputs.extend([*outputs, *gradients])
    for stand_in in stand_ins:
        stand_in.withdraw()
    RemoveUnusedNodesPass()(model)
    pads.spread(graph)
