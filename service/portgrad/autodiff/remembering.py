"""Nodes that keep to themselves what their rule wants: others stand in for them, which give it out.

onnxruntime's LSTM computes gates and cell states in every step and gives neither out. Where it is
large, computing them again for the rule takes as long as the node itself; a scan that says the same
steps gives them out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary

# What a rule finds in the `meta` of its node: what `remembers` gave beside the outputs.
KEPT = "portgrad/kept"
# The outputs, None for one that nobody reads, and what is kept; None to leave the node alone.
Said = tuple[list[Tensor | None], Any] | None
Sayer = Callable[[Vocabulary, ir.Node], Said]
_SAYERS: dict[str, Sayer] = {}


def remembers(op_type: str) -> Callable[[Sayer], Sayer]:
    """Register what says a node of an operator in others and keeps what its rule wants."""

    def register(function: Sayer) -> Sayer:
        _SAYERS[op_type] = function
        return function

    return register


@dataclass(frozen=True)
class Remembered:
    """A node and what stands in for it.

    Attributes:
        node: the node, which the sweep sees.
        outputs: what takes the place of its outputs afterwards.
    """

    node: ir.Node
    outputs: list[Tensor | None]

    def withdraw(self) -> None:
        """Let the others take the place of the node, under its names."""
        for old, new in zip(self.node.outputs, self.outputs, strict=False):
            if new is not None and old.name:
                new.value.name, new.value.shape = old.name, old.shape
                ir.convenience.replace_all_uses_with(old, new.value, replace_graph_outputs=True)


def remember(op: Vocabulary, nodes: Sequence[ir.Node]) -> list[Remembered]:
    """Say some of the nodes that are to be differentiated in others, in front of each one.

    Args:
        op: the emitter of the graph. It must not have emitted any node yet: what it finds that it
            has emitted already is not emitted again, and has to lie further in front.
        nodes: the nodes, last first.
    """
    made = []
    for node in reversed(nodes):
        sayer = None if node.domain else _SAYERS.get(node.op_type)
        last = op.graph[-1]
        said = None if sayer is None else sayer(op, node)
        if said is None:
            continue
        emitted = _behind(op.graph, last)
        op.graph.remove(emitted)
        op.graph.insert_before(node, emitted)
        node.meta[KEPT] = said[1]
        made.append(Remembered(node, said[0]))
    return made


def _behind(graph: ir.Graph, last: ir.Node) -> list[ir.Node]:
    """The nodes behind one of them."""
    found = list(itertools.takewhile(lambda node: node is not last, reversed(graph)))
    return found[::-1]
