"""Running products of a case with tangents and cotangents, one or a stack of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx_ir as ir

from portgrad.autodiff import GradientGraph, gradient_graph, hvp_graph, jvp_graph
from support.double import Arrays, runner
from support.rig import Case


def made(graph: GradientGraph, feeds: Arrays, engine: str = "any") -> list[np.ndarray]:
    """What a checked graph gives."""
    proto = ir.to_proto(graph.model)
    ports = (*proto.graph.input, *proto.graph.output)
    if all(port.type.tensor_type.HasField("shape") for port in ports):  # the checker wants ranks
        onnx.checker.check_model(proto, full_check=True)
    return runner(proto, engine=engine)(feeds)


def gradients(which: Case, seeds: Arrays, *, stacked: bool) -> list[np.ndarray]:
    """The gradients of a case for seeds, which are named as ports."""
    net, names = ir.from_proto(which.model), which.of
    graph = gradient_graph(net, wrt=which.wrt, of=names, seeds=names, stacked=stacked)
    return made(graph, {**which.feeds, **seeds}, which.engine)


def pushed(which: Case, tangents: Arrays, *, stacked: bool = False) -> list[np.ndarray]:
    """How the outputs of a case move along tangents of its targets, which are named as ports."""
    net = ir.from_proto(which.model)
    graph = jvp_graph(net, tangents=which.wrt, of=which.of, stacked=stacked)
    return made(graph, {**which.feeds, **tangents}, which.engine)


def bent(
    which: Case, seeds: Arrays, tangents: Arrays, *, stacked: bool = False
) -> list[np.ndarray]:
    """How the gradients of a case move along tangents."""
    graph = hvp_graph(
        ir.from_proto(which.model),
        wrt=which.wrt,
        tangents=which.wrt,
        of=which.of,
        seeds=which.of,
        stacked=stacked,
    )
    return made(graph, {**which.feeds, **seeds, **tangents}, which.engine)


def drawn(prefix: str, likes: Mapping[str, np.ndarray], seed: int) -> Arrays:
    """Normal numbers shaped like some arrays, for the ports that begin with a prefix."""
    rng = np.random.default_rng(seed)
    return {
        prefix + name: np.asarray(rng.standard_normal(x.shape)).astype(x.dtype)
        for name, x in likes.items()
    }


def stack(each: Sequence[Arrays]) -> Arrays:
    """Arrays of the same names, on a leading axis."""
    return {name: np.stack([one[name] for one in each]) for name in each[0]}


def inner(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """The sum of the products of arrays."""
    pairs = zip(a, b, strict=True)
    return float(sum(np.vdot(x.astype(np.float64), y.astype(np.float64)) for x, y in pairs))
