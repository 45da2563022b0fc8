"""Which states of a Loop keep their shape from trip to trip.

onnx infers nothing of a state inside a body, since a trip may change its shape. Here the shape
that a state starts with is assumed, the body's shapes are inferred, and what the body does not
keep is dropped from the assumption, until it is true of each trip by induction. The same holds
for the elements of a sequence that is a state; of an empty one, the shape of what is put in is
assumed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from portgrad.autodiff.infer import Dims, as_shape, dims_of, info
from portgrad.autodiff.nesting import captures, with_inner
from portgrad.graph import walk
from portgrad.graph.constants import constant_value

Shapes: TypeAlias = dict[str, Dims | None]

_SMALL = 64  # elements of a constant that may say what shape a Reshape gives
_VARIES = "varies"


@dataclass(frozen=True)
class Form:
    """What is known of a state inside the body, whatever the trip.

    Attributes:
        shape: its sizes, those of all elements for a sequence; None where a size changes, and for
            an unknown rank.
        steady: whether it has the same shape on each trip.
    """

    shape: Dims | None
    steady: bool


@dataclass(frozen=True)
class Carried:
    """A state: the operand that it starts as, the body's input, the body's output."""

    initial: ir.Value
    inside: ir.Value
    after: ir.Value


def forms(
    body: ir.Graph,
    states: Sequence[Carried],
    opsets: Mapping[str, int],
    fresh: Callable[[str], str],
) -> list[Form]:
    """The form of each state of a loop. Shapes that the body lacks are filled in.

    Args:
        body: the loop's body.
        states: its states.
        opsets: the opset of each domain.
        fresh: gives names that nothing else has.
    """
    if all(_declared(state) for state in states):
        return [Form(dims_of(state.inside), True) for state in states]
    assumed, shapes = _Search(opsets, fresh).loop(body, states, {})
    found = [_form(shape) for shape in assumed]
    pairs = zip(states, found, strict=True)
    _write_down(body, shapes, anew=not all(_true(state, form) for state, form in pairs))
    return found


def _true(state: Carried, form: Form) -> bool:
    """Whether what is written down of a state may be believed."""
    if not isinstance(state.inside.type, ir.TensorType):
        return dims_of(state.inside) in (None, form.shape)
    return form.steady and _shape(state.inside) in (None, form.shape)


def settle(graph: ir.Graph, opsets: Mapping[str, int], fresh: Callable[[str], str]) -> None:
    """Write down what follows from the forms of states: shapes in a graph that has loops."""
    if any(node.op_type == "Loop" for node in with_inner(graph)):
        inferred(graph, opsets, fresh)


def inferred(graph: ir.Graph, opsets: Mapping[str, int], fresh: Callable[[str], str]) -> None:
    """Write down all shapes that onnx can tell of a graph."""
    computed = [value for node in graph for value in node.outputs]
    known: Shapes = {str(v.name): _shape(v) for v in computed if _shape(v) is not None}
    _write_down(graph, _Search(opsets, fresh).graph(graph, known, {}), anew=False)


class _Search:
    """Shapes by name, from assumptions that are weakened until they hold.

    Args:
        opsets: the opset of each domain.
        fresh: gives names that nothing else has.
    """

    def __init__(self, opsets: Mapping[str, int], fresh: Callable[[str], str]) -> None:
        self._opsets, self._fresh = opsets, fresh

    def loop(
        self, body: ir.Graph, states: Sequence[Carried], around: Shapes
    ) -> tuple[list[Dims | None], Shapes]:
        """The shapes of states that hold on each trip, and those of the body's values."""
        assumed = [self._first_guess(state, around) for state in states]
        if any(_is_empty(state.initial) for state in states):
            shapes = self._given(body, states, assumed, around)
            pairs = zip(states, assumed, strict=True)
            assumed = [
                shapes.get(_inserted(s)) if _is_empty(s.initial) else shape for s, shape in pairs
            ]
        while True:
            shapes = self._given(body, states, assumed, around)
            kept = [
                self._kept(state, shape, shapes.get(str(state.after.name)))
                for shape, state in zip(assumed, states, strict=True)
            ]
            if kept == assumed:
                return assumed, shapes
            assumed = kept

    def _given(
        self,
        body: ir.Graph,
        states: Sequence[Carried],
        assumed: Sequence[Dims | None],
        around: Shapes,
    ) -> Shapes:
        pairs = zip(states, assumed, strict=True)
        return self.graph(body, {str(s.inside.name): shape for s, shape in pairs}, around)

    def graph(self, graph: ir.Graph, given: Shapes, around: Shapes) -> Shapes:
        """The shapes of a graph's values.

        Args:
            graph: a body, or the main graph.
            given: shapes of inputs, in place of those that are written down, and of values inside.
            around: shapes of what it captures, in place of those that are written down.
        """
        given, inside = dict(given), dict[str, Dims | None]()
        shapes = _infer(graph, given, around, self._opsets)
        behind = False  # whether more would be known of what comes after a loop, if onnx were asked
        for node in graph:
            if node.op_type != "Loop" or node.domain:
                continue
            if behind and not _reads_known(node, shapes):
                shapes, behind = _infer(graph, given, around, self._opsets), False
            body, states = node.attributes["body"].as_graph(), list(_carried(node))
            assumed, found = self.loop(body, states, {**around, **shapes})
            inside |= found
            told = {
                str(value.name): _form(shape).shape
                for value, shape in zip(node.outputs, assumed, strict=False)
                if shape is not None and shapes.get(str(value.name)) is None
            }
            given, shapes, behind = given | told, shapes | told, behind or bool(told)
        if behind:
            shapes = _infer(graph, given, around, self._opsets)
        return {**shapes, **inside}

    def _first_guess(self, state: Carried, around: Shapes) -> Dims | None:
        """The shape that a state starts with, symbols for what is not known of a tensor's."""
        if isinstance(state.initial.type, ir.SequenceType):
            return around.get(str(state.initial.name), dims_of(state.initial))
        first = around.get(str(state.initial.name), _shape(state.initial))
        inside = _shape(state.inside)
        known = first if first is not None else inside
        if known is None or not isinstance(state.initial.type, ir.TensorType):
            return None
        same = inside is not None and len(inside) == len(known)
        declared = inside if inside is not None and same else [None] * len(known)
        sizes = [
            theirs if isinstance(theirs, int) and not isinstance(mine, int) else mine
            for mine, theirs in zip(known, declared, strict=True)
        ]
        return [self._fresh("size") if size is None else size for size in sizes]

    def _kept(self, state: Carried, before: Dims | None, after: Dims | None) -> Dims | None:
        """What an iteration keeps of a shape."""
        if before is None or after is None or len(before) != len(after):
            return None
        pairs = zip(before, after, strict=True)
        if isinstance(state.initial.type, ir.SequenceType):  # no symbol stands for many sizes
            return [old if old == new else None for old, new in pairs]
        return [old if old == new or _varies(old) else self._fresh(_VARIES) for old, new in pairs]


def _reads_known(node: ir.Node, shapes: Shapes) -> bool:
    """Whether nothing more can become known of the sizes that a loop depends on."""
    for value in (*node.inputs, *captures(node)):
        if value is not None and isinstance(value.type, ir.TensorType):
            shape = shapes.get(str(value.name), dims_of(value))
            if shape is None or None in shape:
                return False
    return all(v is None or isinstance(v.type, ir.TensorType) for v in node.inputs)


def _carried(node: ir.Node) -> Iterator[Carried]:
    body = node.attributes["body"].as_graph()
    for initial, inside, after in zip(
        node.inputs[2:], body.inputs[2:], body.outputs[1:], strict=False
    ):
        if initial is not None:
            yield Carried(initial, inside, after)


def _shape(value: ir.Value) -> Dims | None:
    """The shape of a tensor; that of another value is its elements'."""
    return dims_of(value) if isinstance(value.type, ir.TensorType) else None


def _is_empty(sequence: ir.Value) -> bool:
    node = sequence.producer()
    return node is not None and node.op_type == "SequenceEmpty"


def _inserted(state: Carried) -> str:
    """The name of what a body puts into a sequence, where that is the last that it does."""
    node = state.after.producer()
    inserts = node is not None and node.op_type == "SequenceInsert"
    return str(node.inputs[1].name) if node is not None and inserts and node.inputs[1] else ""


def _declared(state: Carried) -> bool:
    """Whether the shapes that are written down say that it stays, or that elements have a rank."""
    if isinstance(state.initial.type, ir.SequenceType):
        return dims_of(state.inside) is not None and dims_of(state.after) is not None
    if not isinstance(state.initial.type, ir.TensorType):
        return True
    first, inside, after = (_shape(v) for v in (state.initial, state.inside, state.after))
    if inside is None or None in inside or inside != after:
        return False
    return first == inside or all(isinstance(size, int) for size in inside)


def _varies(size: int | str | None) -> bool:
    return isinstance(size, str) and size.endswith(_VARIES)


def _form(shape: Dims | None) -> Form:
    if shape is None:
        return Form(None, False)
    return Form([None if _varies(d) else d for d in shape], not any(map(_varies, shape)))


def _infer(graph: ir.Graph, given: Shapes, around: Shapes, opsets: Mapping[str, int]) -> Shapes:
    """The shapes of a graph's values, by name, as onnx infers them.

    Args:
        graph: the graph.
        given: shapes of inputs, in place of those that are written down, and of values inside.
        around: shapes of what it captures, in place of those that are written down.
        opsets: the opset of each domain.
    """
    read = list(dict.fromkeys((*graph.inputs, *_outer(graph))))
    constants = {v: c for v in read if (c := constant_value(v)) is not None and c.size <= _SMALL}
    assumed = {**around, **given}
    computed = {str(v.name): v for node in graph for v in node.outputs}
    # What onnx is told of an output replaces what it knows of an input that is handed on as it is.
    through = {v: assumed.get(str(v.name), dims_of(v)) for v in graph.inputs}
    proto = helper.make_graph(
        [ir.serde.serialize_node(node) for node in graph],
        "graph",
        [info(v, assumed.get(str(v.name), dims_of(v))) for v in read if v not in constants],
        [info(v, through.get(v)) for v in graph.outputs],
        [numpy_helper.from_array(c, v.name) for v, c in constants.items()],
    )
    for inner in walk.graphs(proto):
        for found in inner.value_info:
            for dim in _tensor(found).shape.dim:
                dim.ClearField("dim_param")  # a symbol means a size on one trip alone
    proto.value_info.extend(info(v, given[name]) for name, v in computed.items() if name in given)
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    model = helper.make_model(proto, opset_imports=imports, ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    # onnx makes up symbols, which could mean other sizes elsewhere.
    symbols = {d.dim_param for v in proto.input for d in v.type.tensor_type.shape.dim} - {""}
    return {
        found.name: [_size(dim, symbols) for dim in _tensor(found).shape.dim]
        for part in walk.graphs(inferred)
        for found in (*part.input, *part.output, *part.value_info)
        if _tensor(found).HasField("shape")
    }


def _outer(body: ir.Graph) -> Iterator[ir.Value]:
    """What a graph reads beside its inputs and what it computes: captures and initializers."""
    own = {*body.inputs, *itertools.chain.from_iterable(node.outputs for node in body)}
    for node in body:
        for value in (*node.inputs, *captures(node)):
            if value is not None and value not in own:
                yield value


def _tensor(found: onnx.ValueInfoProto) -> onnx.TypeProto.Tensor:
    """The type of a tensor, or of a sequence's elements."""
    kind = found.type
    return (
        kind.sequence_type.elem_type.tensor_type
        if kind.HasField("sequence_type")
        else kind.tensor_type
    )


def _size(dim: onnx.TensorShapeProto.Dimension, symbols: set[str]) -> int | str | None:
    if dim.HasField("dim_value"):
        return dim.dim_value
    return dim.dim_param if dim.dim_param in symbols else None


def _write_down(graph: ir.Graph, shapes: Shapes, *, anew: bool) -> None:
    """Give a graph's values the sizes that they lack, or all of them anew."""
    inner = itertools.chain.from_iterable(node.outputs for node in with_inner(graph))
    for value in (*graph.inputs, *inner):
        if isinstance(value.type, ir.TensorType | ir.SequenceType):
            shape, old = shapes.get(str(value.name)), None if anew else dims_of(value)
            if shape is None or old is None:
                value.shape = as_shape(old if shape is None else shape)
            elif len(shape) == len(old):
                pairs = zip(shape, old, strict=True)
                value.shape = ir.Shape([new if size is None else size for new, size in pairs])
