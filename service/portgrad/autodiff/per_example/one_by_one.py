"""Cotangents of what all examples share, by a node's rule for one example after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import onnx_ir as ir

from portgrad.autodiff.binding import Call
from portgrad.autodiff.control.subgraphs import prune
from portgrad.autodiff.per_example.layout import Layout, NotApart
from portgrad.autodiff.registry import Cotangent, Rule
from portgrad.autodiff.sweep import described
from portgrad.autodiff.tensor import Tensor
from portgrad.errors import Unsupported


def one_by_one(layout: Layout, rule: Rule, call: Call, asked: set[int]) -> Sequence[Cotangent]:
    """A scan over the examples, in each of which the node runs again and is swept.

    Args:
        layout: where the examples lie.
        rule: the operator's.
        call: the node, with cotangents as the sweep has them.
        asked: places of the operands whose cotangents are wanted.
    """
    node, places = call.node, sorted(asked)
    again = any(map(layout.own, node.outputs))
    if again and any(v is not None and layout.sized(v) for v in node.inputs):
        raise NotApart(f"the {described(node)} reads sizes that are others for one example")
    own = {v: None for v in node.inputs if again and v is not None and layout.own(v)}
    arrived = [i for i, ct in enumerate(call.cotangents) if ct is not None]
    read = [layout.front(layout.op.wrap(value), value) for value in own]
    for index in arrived:
        ct, value = call.cotangents[index], node.outputs[index]
        assert ct is not None
        read.append(layout.front(ct, value) if again else ct)

    def step(op: Any, _: Sequence[Tensor], slices: Sequence[Tensor]) -> Any:
        bound = dict(zip(own, slices, strict=False))
        cts: list[Tensor | None] = [None] * len(call.cotangents)
        for index, ct in zip(arrived, slices[len(own) :], strict=True):
            cts[index] = ct
        twin = _twin(op, layout, node, bound) if again else node
        results = rule(replace(call, op=op, node=twin, cotangents=cts))
        return [], [_present(results[place], call.given()[place]) for place in places]

    _, found = layout.op.scan(step, [], read)
    scan = found[0].value.producer()
    assert scan is not None
    prune(scan.attributes["body"].as_graph())
    results: list[Cotangent] = [None] * len(node.inputs)
    for place, ct in zip(places, found, strict=True):
        results[place] = ct
    return results


def _present(ct: Cotangent, like: Tensor | None) -> Tensor:
    if isinstance(ct, Unsupported):
        raise ct
    if not isinstance(ct, Tensor) or like is None:
        raise NotApart("a parameter's cotangent is no tensor")
    return ct.op.shaped_as(ct, like)


def _twin(op: Any, layout: Layout, node: ir.Node, bound: dict[ir.Value, Tensor]) -> ir.Node:
    """The node for a single example, in the body."""
    inputs = [bound[v].value if v is not None and v in bound else v for v in node.inputs]
    twin = ir.Node(
        node.domain,
        node.op_type,
        inputs,
        list(node.attributes.values()),
        num_outputs=len(node.outputs),
        version=node.version,
        name=op.fresh(node.op_type),
    )
    for value, like in zip(twin.outputs, node.outputs, strict=True):
        if like.name:
            single = layout.front(layout.op.wrap(like), like)
            value.name, value.type = op.fresh(node.op_type), like.type
            value.shape = ir.Shape((single.shape or ())[1:])
    op.graph.append(twin)
    return twin
