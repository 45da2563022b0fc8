"""From (net, wrt, of) to one ONNX graph that computes outputs and gradients.

The stages in their order: `unpacking`; what is active, with `bodies` in place of their operators;
shapes of loops (`control/steady`); `recognise`; `remembering`; the `sweep`; what nobody needs is
removed.
What else there is to ask is made of such graphs, in `products`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import onnx_ir as ir

from portgrad.autodiff.bodies import expand, has_body
from portgrad.autodiff.codes import EXACT, STRAIGHT_THROUGH, Codes, Quantized
from portgrad.autodiff.control.steady import settle
from portgrad.autodiff.cuts import integer_cuts
from portgrad.autodiff.infer import complete
from portgrad.autodiff.nesting import with_inner
from portgrad.autodiff.per_example import EachSweep, NotApart
from portgrad.autodiff.recognise import StandIn, recognise
from portgrad.autodiff.remembering import Remembered, remember
from portgrad.autodiff.stacked import stack
from portgrad.autodiff.sweep import Sweep, active
from portgrad.autodiff.symbols import credible, told_by_ports
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.unpacking import unpack
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.errors import InvalidRequest
from portgrad.graph import pads
from portgrad.graph.batching import Axes
from portgrad.graph.pruning import prune
from portgrad.graph.scopes import tell_apart

GRADIENT = "grad/"
SEED = "seed/"


@dataclass(frozen=True)
class GradientGraph:
    """A compiled gradient: the graph and what its user should know of it.

    Attributes:
        model: the graph.
        warnings: sentences for the user.
        alike: names of values that are known to have the shape of others, for who asked for them.
    """

    model: ir.Model
    warnings: tuple[str, ...]
    alike: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Imposed:
    """A cotangent that is given from outside, as an input of the graph.

    Attributes:
        name: what the input is called.
        like: the value whose shape it has; the output itself where None.
        fit: "broadcast": whatever broadcasts to that shape; "exact": nothing else, or the run
            fails; "trusted": not looked at.
    """

    name: str
    like: str | None = None
    fit: Literal["broadcast", "exact", "trusted"] = "broadcast"


def gradient_graph(
    model: ir.Model,
    *,
    wrt: Sequence[str],
    of: Sequence[str],
    seeds: Sequence[str] = (),
    outputs: Sequence[str] = (),
    quantized: Quantized = EXACT,
    stacked: bool = False,
    apart: Axes | None = None,
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
        stacked: each seed is K of them on a leading axis, of exactly the output's shape, and each
            gradient K gradients, from one forward pass. There must be a seed.
        apart: where each value has the examples of a batch that are proven to be independent
            (`graph.batching.apart`). Then a target that has none, which all examples share, has a
            gradient for each of them, on a new leading axis.

    Returns:
        A model whose inputs are the net's and the seeds, and whose outputs are `outputs` under
        their own names and then `grad/NAME` for each target, with the target's dtype and shape;
        under another name where the net has that one itself.

    Raises:
        Unsupported: an operator on a path from a target to an output has no derivative.
        NotApart: with `apart`, what the net does cannot be said for each example in one run.
    """
    gradients = called(model.graph, GRADIENT, wrt)
    fit: Literal["exact", "broadcast"] = "exact" if stacked else "broadcast"
    given = {name: Imposed(SEED + name, fit=fit) for name in seeds}
    made = swept(
        model,
        gradients,
        of=of,
        given=given,
        outputs=outputs,
        quantized=quantized,
        apart=apart,
        remembering=apart is None and quantized == EXACT,
    )
    if stacked:
        stack(made.model.graph, [seed.name for seed in given.values()], list(gradients.values()))
    return made


def swept(
    model: ir.Model,
    gradients: Mapping[str, str],
    *,
    of: Sequence[str],
    given: Mapping[str, Imposed],
    outputs: Sequence[str],
    quantized: Quantized,
    apart: Axes | None = None,
    whole: bool = False,
    places: bool = False,
    remembering: bool = False,
) -> GradientGraph:
    """The graph of gradients with ports of any name.

    Args:
        model: as for `gradient_graph`, as are `of`, `outputs`, `quantized` and `apart`.
        gradients: what the gradient of each target is called.
        given: the imposed cotangents by the output's name; the others are ones.
        whole: whether to keep what tells shapes, too.
        places: whether the graph's own cotangents are only places for numbers.
        remembering: whether others may stand in for nodes, to give out what rules want of them.
    """
    twin = model.clone()
    graph = twin.graph
    refuse_taken(graph, [*gradients.values(), *(seed.name for seed in given.values())])
    known = frozenset(values_by_name(graph))
    opsets = dict(graph.opset_imports)
    codes = Codes(opsets) if quantized == STRAIGHT_THROUGH else None
    op = Vocabulary(graph, opsets[""])
    op.places = places
    way = prepared(twin, op, list(gradients), of=of, asked=outputs, codes=codes)
    values = way.values
    if remembering and credible(model.graph):
        op.symbols = told_by_ports(graph, _own_ports(graph))
    remembered = remember(op, way.nodes) if remembering else []
    sweep = Sweep(op, opsets, codes) if apart is None else _each(op, opsets, codes, apart, known)
    for name in of:
        seed = _seed(op, values, name, given.get(name))
        if values[name] in way.wanted:
            sweep.accumulate(values[name], seed)
    sweep.run(way.nodes, way.wanted)
    warnings = dict.fromkeys([*sweep.warnings, *way.cuts])
    results = [_result(op, sweep, values[name], called) for name, called in gradients.items()]
    sweep.close()
    unpack(graph, op.fresh)
    alike = sweep.alike() if whole else {}
    ends = [*(values[name] for name in outputs), *results]
    _finish(twin, ends, [*way.stand_ins, *remembered], alike.values())
    named = {str(a.name): str(b.name) for a, b in alike.items()}
    return GradientGraph(twin, tuple(warnings), named)


@dataclass(frozen=True)
class Way:
    """What a sweep goes through.

    Attributes:
        nodes: the active nodes, last first.
        wanted: the active values.
        values: every named value of the main graph.
        cuts: where numbers become integers, as warnings.
        stand_ins: the operators that stand in for what exporters wrote out.
    """

    nodes: list[ir.Node]
    wanted: set[ir.Value]
    values: dict[str, ir.Value]
    cuts: list[str]
    stand_ins: list[StandIn]


def prepared(
    model: ir.Model,
    op: Vocabulary,
    wrt: Sequence[str],
    *,
    of: Sequence[str],
    asked: Sequence[str],
    codes: Codes | None,
) -> Way:
    """The stages before the sweep, in place.

    Args:
        model: a copy of a net.
        op: the emitter of its graph.
        wrt, of: as for `gradient_graph`.
        asked: the values that somebody wants to see.
        codes: how cotangents pass quantised numbers.
    """
    graph = model.graph
    tell_apart(graph, op.fresh, parameters=True)
    unpack(graph, op.fresh)
    nodes, wanted = _path(model, wrt, of, codes)
    settle(graph, dict(graph.opset_imports), op.fresh)
    complete(graph)
    values = values_by_name(graph)
    starts, ends = ([values[name] for name in names] for names in (wrt, of))
    cuts = list(integer_cuts(graph, starts, ends, codes))  # the sweep rebuilds loops
    stand_ins = recognise(op, nodes, {values[name] for name in (*wrt, *of, *asked)})
    if stand_ins:
        nodes, wanted = _path(model, wrt, of, codes)
        values = values_by_name(graph)
    return Way(nodes, wanted, values, cuts, stand_ins)


def _own_ports(graph: ir.Graph) -> list[ir.Value]:
    """The ports of the net itself: what is imposed may not have the size that it declares."""
    return [port for port in graph.inputs if not str(port.name).startswith(SEED)]


def _each(
    op: Vocabulary,
    opsets: Mapping[str, int],
    codes: Codes | None,
    apart: Axes,
    known: Iterable[str],
) -> Sweep:
    if codes is not None:
        raise NotApart("gradients go straight through quantised numbers")
    return EachSweep(op, opsets, apart, known)


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


def called(graph: ir.Graph, prefix: str, names: Sequence[str]) -> dict[str, str]:
    """What results are called: the prefix and the name, once more where a net has that already.

    A gradient graph has, when it is differentiated again.
    """
    taken, found = set(values_by_name(graph)), {}
    for name in names:
        found[name] = prefix + name
        while found[name] in taken:
            found[name] = prefix + found[name]
        taken.add(found[name])
    return found


def refuse_taken(graph: ir.Graph, names: Iterable[str]) -> None:
    """Refuse names of ports that a net has already for something else."""
    for name in sorted(set(values_by_name(graph)).intersection(names)):
        raise InvalidRequest(
            f"The net itself has a value called {name!r}, the name of this request's result.",
            code="ambiguous_name",
            where=name,
            remedy="Rename the value in the net.",
        )


def _seed(
    op: Vocabulary, values: Mapping[str, ir.Value], name: str, imposed: Imposed | None
) -> Tensor:
    if imposed is None:
        output = op.wrap(values[name])
        if output.static_shape is None:  # asked of it, so that what cannot be computed is told
            return op.ones_shaped(op.Shape(output), output)
        return op.ones_like(output)
    like = op.wrap(values[imposed.like or name])
    value = ir.Value(name=imposed.name, type=ir.TensorType(like.dtype))
    if like.shape is not None:
        value.shape = ir.Shape(
            [None] * len(like.shape) if imposed.fit == "broadcast" else like.shape
        )
    op.graph.inputs.append(value)
    seed = op.wrap(value)
    if imposed.fit == "trusted":
        return seed
    # Expand broadcasts both ways; the reshape fails where the seed is larger than its output.
    whole = op.Expand(seed, op.Shape(like))
    if imposed.fit == "exact":  # and this one where it is smaller
        whole = op.Reshape(whole, op.Shape(seed), allowzero=1)
    return op.reshape_like(whole, like)


def _result(op: Vocabulary, sweep: Sweep, target: ir.Value, called: str) -> ir.Value:
    ct = sweep.cotangent(target)
    like = sweep.like(target)
    result = op.alias(ct if ct is not None else op.zeros_like(like), called)
    return op.shaped_as(op.wrap(result), like).value


def _finish(
    model: ir.Model,
    outputs: list[ir.Value],
    stand_ins: Iterable[StandIn | Remembered],
    kept: Iterable[ir.Value],
) -> None:
    graph = model.graph
    graph.outputs.clear()
    graph.outputs.extend([*outputs, *(value for value in kept if value.graph is graph)])
    for stand_in in stand_ins:
        stand_in.withdraw()
    prune(model)
    del graph.outputs[len(outputs) :]
    pads.spread(graph)
