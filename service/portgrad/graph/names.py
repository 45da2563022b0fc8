"""What a net's tensors are called, and which one a name or a path means.

A name is a string. A path is a list that reads in one of two ways: (a) its elements joined by `.`,
`/` or `_` are the name of a parameter or inner value; (b) it is a node and an operand or output of
the node's operator, under its schema's name.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NoReturn

import onnx_ir as ir

from portgrad.errors import InvalidRequest
from portgrad.graph.inside import with_inner
from portgrad.graph.nearest import listed, offer
from portgrad.graph.nothing import VALUES_UNREAD, shape_fixing
from portgrad.graph.parameters import find_parameters
from portgrad.graph.slots import Slots, addresses
from portgrad.graph.types import Shape, shape_of, type_reason

Path = Sequence[str]
SEPARATORS = (".", "/", "_")
_LISTED = "The net's description lists its names: `GET /nets/{net}`, or `portgrad describe`."


class Names:
    """The index of a net's names, made once; every look-up after that is a few hashes.

    Args:
        model: the net.
        hidden: inputs that are no ports, since callers do not feed them.

    Attributes:
        inputs: the input ports by name.
        outputs: the output ports by name.
        parameters: the parameters by name, those of subgraphs included.
        slots: the schema names of the net's operands and outputs.
    """

    def __init__(self, model: ir.Model, hidden: Collection[str] = ()) -> None:
        graph = model.graph
        self.slots = Slots(model.opset_imports)
        ports = {value.name: value for value in graph.inputs if value.name}
        self.inputs = {name: value for name, value in ports.items() if name not in hidden}
        self.outputs = {value.name: value for value in graph.outputs if value.name}
        self._promised: Mapping[str, Shape] = model.meta.get("promised", {})
        self._called = addresses(with_inner(graph))
        self._values = {value.name: value for value in _main_values(graph) if value.name}
        parameters = find_parameters(graph, self._values.keys(), self._called)
        self.parameters = dict(parameters.values)
        self._shared_names = parameters.shared_names
        self._values |= self.parameters
        self._names = {value: name for name, value in self._values.items()}
        self._shape_fixing = shape_fixing(graph, self.slots)
        self._nodes = _nodes_by_name(self._called)

    def name(self, value: ir.Value) -> str:
        """What a tensor is called: its own name, or `node/branch/name` in a subgraph."""
        return self._names.get(value) or value.name or ""

    def node_name(self, node: ir.Node) -> str:
        """What a node is called: its name, or its first output where it has none of its own."""
        return self._called[node]

    def producers(self) -> dict[str, ir.Node]:
        """The node that computes each value of the main graph, by the value's name."""
        named = ((name, value.producer()) for name, value in self._values.items())
        return {name: node for name, node in named if node is not None}

    def shape(self, name: str) -> Shape | None:
        """A tensor's shape as users know it: an output's is what its file declares, where onnx
        can infer nothing else.
        """
        known, promise = shape_of(self._values[name]), self._promised.get(name)
        if name not in self.outputs or promise is None:
            return known
        if known is None or len(known) != len(promise):
            return promise
        return tuple(k if k is not None else p for k, p in zip(known, promise, strict=True))

    def is_inner(self, value: ir.Value) -> bool:
        """Whether a tensor of the main graph is computed inside and is no port."""
        port = value.is_graph_output() or value.is_graph_input()
        return value in self._names and value.producer() is not None and not port

    def none_reason(self, value: ir.Value) -> str | None:
        """Why a tensor has no gradient, or None for one that has."""
        reason = type_reason(value) or self._shape_fixing.get(value)
        if reason is None and value not in self._names:
            return "it is computed anew at each run of a subgraph, outside the main graph"
        return reason

    def resolve(self, item: str | Path, where: str) -> ir.Value:
        """The tensor that a name or path means.

        Args:
            item: a name, or a path as a list or tuple of strings.
            where: the position in the request, such as `wrt[2]`, for errors.

        Raises:
            InvalidRequest: `unknown_name`, `ambiguous_path`, or `invalid_field` for anything that
                is neither a name nor a path.
        """
        if isinstance(item, str):
            return self._values.get(item) or self._refuse_name(item, where)
        path = _checked_path(item, where)
        found = self.readings(path)
        if len(found) > 1:
            _refuse_ambiguous(f"The path {list(path)}", found, where)
        return next(iter(found.values()), None) or self._refuse_path(path, where)

    def readings(self, path: Path) -> dict[str, ir.Value]:
        """The tensors that a path may mean, by name; empty for an unknown one."""
        found = [*self._joined(path), *self._in_slot(path)]
        return {self.name(value): value for value in found}

    def nearest_floating(self, starts: Iterable[ir.Value], count: int = 3) -> list[str]:
        """The first tensors downstream that have a gradient: an embedding's output, for tokens."""
        found: list[str] = []
        queue = deque(starts)
        seen = set(queue)
        while queue and len(found) < count:
            for out in _downstream(queue.popleft()):
                if out in seen:
                    continue
                seen.add(out)
                if self.none_reason(out) is None:
                    found.append(self.name(out))
                else:
                    queue.append(out)
        return found[:count]

    def _joined(self, path: Path) -> list[ir.Value]:
        joined = [lead + separator.join(path) for separator in SEPARATORS for lead in ("", "/")]
        values = [self._values[name] for name in joined if name in self._values]
        inside = [v for v in values if self.is_inner(v) or self.name(v) in self.parameters]
        # Integers inside are no inner values: they are found only to say why they have none.
        return [v for v in inside if type_reason(v) is None] or inside

    def _in_slot(self, path: Path) -> list[ir.Value]:
        if len(path) != 2:
            return []
        nodes = self._nodes.get(path[0], ())
        return [value for node in nodes for value in self.slots.find(node, path[1])]

    def _refuse_name(self, name: str, where: str) -> NoReturn:
        if name in self._shared_names:
            _refuse_ambiguous(f"The name `{name}`", self._shared_names[name], where)
        raise InvalidRequest(
            f"This net has no tensor called `{name}`.",
            code="unknown_name",
            where=where,
            expected="the name of a port, parameter or inner value",
            found=f"`{name}`",
            remedy=offer(name, self._values) or _LISTED,
        )

    def _refuse_path(self, path: Path, where: str) -> NoReturn:
        nodes = self._nodes.get(path[0], []) if len(path) == 2 else []
        raise InvalidRequest(
            f"The path {list(path)} means nothing in this net.",
            code="unknown_name",
            where=where,
            expected="the parts of a parameter's or inner value's name, or a node and one of its "
            "operands or outputs",
            found=str(list(path)),
            remedy=self._slots_of(nodes[0]) if nodes else self._offer_for(path),
        )

    def _slots_of(self, node: ir.Node) -> str:
        names = dict.fromkeys([*self.slots.operands(node), *self.slots.outputs(node)])
        if not names:
            return f"The operator {node.domain}.{node.op_type} has no schema here: use names."
        return f"The {node.op_type} node `{self._called[node]}` has {listed(names)}."

    def _offer_for(self, path: Path) -> str:
        joined = "/".join(path)
        port = next((n for n in (s.join(path) for s in SEPARATORS) if n in self._values), None)
        if port:
            return f"A port is named by a string: `{port}`."
        sentence = offer(path[0], self._nodes) if len(path) == 2 else None
        return offer(joined, self._values) or sentence or _LISTED


def _checked_path(item: object, where: str) -> Path:
    if isinstance(item, list | tuple) and item and all(isinstance(p, str) and p for p in item):
        return item
    raise InvalidRequest(
        "This is neither a name nor a path.",
        code="invalid_field",
        where=where,
        expected="a string, or a list of strings that are not empty",
        found=repr(item)[:80],
        remedy='Give a name, such as "input", or a path, such as ["layer1", "weight"].',
    )


def _refuse_ambiguous(asked: str, names: Iterable[str], where: str) -> NoReturn:
    readings = listed(names)
    raise InvalidRequest(
        f"{asked} can mean several tensors: {readings}.",
        code="ambiguous_path",
        where=where,
        expected="a name or path that means one tensor",
        found=readings,
        remedy="Ask for one of them by its full name.",
    )


def _main_values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs


def _nodes_by_name(called: dict[ir.Node, str]) -> dict[str, list[ir.Node]]:
    nodes: dict[str, list[ir.Node]] = defaultdict(list)
    for node, address in called.items():
        for name in dict.fromkeys([address, node.name or address]):
            nodes[name].append(node)
    return dict(nodes)


def _downstream(value: ir.Value) -> Iterator[ir.Value]:
    for node in value.consumers():
        if node.op_type not in VALUES_UNREAD:
            yield from node.outputs
