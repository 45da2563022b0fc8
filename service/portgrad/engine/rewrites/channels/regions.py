"""Which values of a graph are computed in blocks of channels.

The runtime's own optimizer puts convolutions into blocks, and puts a reordering around every node
that it does not know: masks, above all, which a backward pass has behind every activation. What is
elementwise is the same in blocks, so here such nodes stay between the convolutions.

A value that is computed in blocks is the *twin* of what stood in the graph. All nodes keep their
places until everything is said; then what is still read as it was is put in order again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import onnx_ir as ir

from portgrad.engine.folding import constants
from portgrad.engine.rewrites.channels import depthwise, leaving, masks
from portgrad.engine.rewrites.channels.convolutions import (
    Convolution,
    folds,
    serves,
    spread,
    spreads,
    whole,
)
from portgrad.engine.rewrites.channels.layout import DOMAIN, block_size, has_blocks
from portgrad.engine.rewrites.writing import Writer
from portgrad.graph.inside import with_inner
from portgrad.graph.pruning import prune

Use = tuple[ir.Node, int]  # a node, and which of its operands a value is
_FLOAT = ir.DataType.FLOAT
_COMPARISONS = frozenset("Equal Greater GreaterOrEqual Less LessOrEqual".split())
# What the runtime's optimizer takes into blocks itself, and what is the same in them too.
_TAKEN = frozenset("Add Clip Mul Relu Sigmoid Sum Tanh".split())
_FINITE = _COMPARISONS | frozenset(
    "Abs And Cast Elu Erf HardSigmoid HardSwish LeakyRelu Max Min Neg Not Or Sign "
    "Softplus Sub Where Xor".split()
)
# The same, where no zeros fill a block up: infinities made of those would meet the next kernel.
_WHOLE = frozenset("Div Exp Log Pow Reciprocal Sqrt".split())
_FAR = 64  # nodes from one reader to the next between which a value is not kept in order
_ELEMENTWISE = _TAKEN | _FINITE | _WHOLE


def say(model: ir.Model) -> bool:
    """Have convolutions and what lies between them computed in blocks, in place.

    Only where that pays: what the runtime's optimizer does as well, it does itself.

    Returns:
        Whether anything is.
    """
    if not has_blocks():
        return False
    nodes = tuple(model.graph)
    regions = _Regions(model.graph)
    if any(map(_parts, nodes)):
        for node in nodes:
            regions.visit(node)
    kernels = [found for node in with_inner(model.graph) if (found := depthwise.find(node))]
    for found in kernels:
        depthwise.replace(found, regions.inside)
    if not regions.give_back() and not kernels:
        return False
    model.graph.opset_imports[DOMAIN] = 1
    prune(model)
    model.graph.sort()
    return True


def _parts(node: ir.Node) -> bool:
    """Whether the runtime would leave its blocks for a node that could stay in them."""
    if node.domain or node.op_type not in _ELEMENTWISE - _TAKEN:
        return False
    return any(v is not None and v.dtype == _FLOAT and _image(v) is not None for v in node.inputs)


class _Regions:
    """The values of a graph that have twins."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._twins: dict[ir.Value, ir.Value] = {}
        self._pending: dict[ir.Value, Convolution] = {}
        self._said: dict[ir.Node, None] = {}

    @functools.cached_property
    def _constants(self) -> set[ir.Value]:
        return constants(self._graph)

    def visit(self, node: ir.Node) -> None:
        """Say a node in blocks, if that can be."""
        if node.domain:
            return
        found = _SAYING.get(node.op_type)
        if found is None and node.op_type in _ELEMENTWISE:
            found = _Regions._elementwise
        if found is not None and found(self, node):
            self._said[node] = None

    def inside(self, value: ir.Value | None) -> ir.Value | None:
        """The twin of a value that has one anyway."""
        if value is None or not (value in self._twins or value in self._pending):
            return None
        return self._twin(value)

    def give_back(self) -> bool:
        """Put in order what others read as it was; whether anything is in blocks at all."""
        places = {node: place for place, node in enumerate(self._graph)}
        for node in reversed(tuple(self._said)):
            for value in node.outputs:
                readers = [use for use in value.uses() if use.node not in self._said]
                if (readers or value.is_graph_output()) and value.dtype == _FLOAT:
                    self._put_in_order(value, _near(readers, places))
                elif readers or value.is_graph_output():
                    del self._said[node]  # no reordering has its type: it is computed twice
        return bool(self._said)

    def _put_in_order(self, value: ir.Value, readers: list[list[Use]]) -> None:
        """Once for readers that are near each other: in between it is kept in blocks alone."""
        twin, image, name = self._twin(value), _image(value), value.name
        write = self._writer(value, "in-order")
        assert image is not None
        for some in readers:
            plain = write.node(
                "ReorderOutput", twin, domain=DOMAIN, shape=value.shape, channels=image[0]
            )
            for user, at in some:
                user.replace_input_with(at, plain)
        ir.convenience.replace_all_uses_with(value, plain, replace_graph_outputs=True)
        value.name = f"{name}/as-it-was"
        plain.name = name

    def _convolution(self, node: ir.Node) -> bool:
        if not serves(node, self._constants):
            return False
        image = node.inputs[0]
        assert image is not None
        sizes = _image(node.outputs[0])
        given = _channels(image)
        if sizes is None or given is None:
            return False
        blocked = given >= block_size()
        read = self._twin(image) if blocked else image
        self._pending[node.outputs[0]] = Convolution(node, read, blocked)
        return True

    def _transposed(self, node: ir.Node) -> bool:
        image = node.inputs[0]
        known = all(v is not None and _image(v) is not None for v in (image, node.outputs[0]))
        if image is None or not known or not spreads(node, self._constants):
            return False
        twin = self.inside(image)
        if twin is None:
            return False
        write = self._writer(node.outputs[0])
        self._twins[node.outputs[0]] = spread(write, node, twin)
        return True

    def _channel_sums(self, node: ir.Node) -> bool:
        twin = None if node.inputs[0] is None else self.inside(node.inputs[0])
        if twin is None or not leaving.sums(node):
            return False
        return self._leave(node, leaving.write_sums(self._writer(node.outputs[0]), node, twin))

    def _dot(self, node: ir.Node) -> bool:
        found = leaving.dot(node)
        twins = [] if found is None else [twin for v in found if (twin := self.inside(v))]
        if len(twins) < 2:
            return False
        return self._leave(node, leaving.write_dot(self._writer(node.outputs[0]), *twins))

    def _product(self, node: ir.Node) -> bool:
        found = leaving.find(node)
        twin = None if found is None else self.inside(found.wide)
        if found is None or twin is None:
            return False
        return self._leave(node, found.write(self._writer(node.outputs[0]), twin))

    def _leave(self, node: ir.Node, made: ir.Value) -> bool:
        """Have a value that is not in blocks take the place of what a node gives."""
        old = node.outputs[0]
        made.name, old.name = old.name, f"{old.name}/as-it-was"
        ir.convenience.replace_all_uses_with(old, made, replace_graph_outputs=True)
        return True

    def _norm(self, node: ir.Node) -> bool:
        made = self._alone(node.inputs[0], node)
        if made is None or not made.bare or not folds(node, self._constants):
            return False
        self._grow(node, replace(made, norm=node))
        return True

    def _sum(self, node: ir.Node) -> bool:
        for at, mine in enumerate(node.inputs):
            other = node.inputs[1 - at]
            made = self._alone(mine, node)
            if made is not None and made.open and _alike(mine, other):
                assert other is not None
                added = self._twin(other)
                self._grow(node, replace(made, added=added), at)
                return True
        return self._elementwise(node)

    def _activation(self, node: ir.Node) -> bool:
        made, bounds = self._alone(node.inputs[0], node), _numbers(node.inputs[1:])
        fits = bounds is not None and (node.op_type == "Relu" or len(bounds) == 2)
        if made is None or made.activation is not None or not fits:
            return self._elementwise(node)
        assert bounds is not None
        self._grow(node, replace(made, activation=(node.op_type, bounds)))
        return True

    def _grow(self, node: ir.Node, made: Convolution, at: int = 0) -> None:
        before = node.inputs[at]
        assert before is not None
        del self._pending[before]
        self._pending[node.outputs[0]] = made

    def _alone(self, value: ir.Value | None, node: ir.Node) -> Convolution | None:
        """The convolution that gives a value, if this node alone reads that and keeps its sizes."""
        made = None if value is None else self._pending.get(value)
        if value is None or len(value.uses()) > 1 or value.is_graph_output():
            return None
        return made if _image(value) == _image(node.outputs[0]) else None

    def _concat(self, node: ir.Node) -> bool:
        if not _by_channels(node) or not any(map(self.inside, node.inputs)):
            return False
        write = self._writer(node.outputs[0])
        twins = [self._twin(value) for value in node.inputs if value is not None]
        self._twins[node.outputs[0]] = write.node("Concat", *twins, axis=1)
        return True

    def _split(self, node: ir.Node) -> bool:
        twin = self.inside(node.inputs[0])
        if twin is None or not _by_channels(node):
            return False
        attributes = list(node.attributes.values())
        made = ir.Node(
            "", "Split", [twin, *node.inputs[1:]], attributes, num_outputs=len(node.outputs)
        )
        self._writer(node.outputs[0]).put(made, _FLOAT)
        self._twins.update(zip(node.outputs, made.outputs, strict=True))
        return True

    def _elementwise(self, node: ir.Node) -> bool:
        wide = [v for v in node.inputs if v is not None and not _is_number(v)]
        inside = any(v in self._twins or v in self._pending for v in wide)
        if not inside or not all(map(self._turns, wide)) or not _fits(node, wide):
            return False
        old, write = node.outputs[0], self._writer(node.outputs[0])
        operands = [v if v is None or _is_number(v) else self._twin(v) for v in node.inputs]
        made = ir.Node("", node.op_type, operands, list(node.attributes.values()), num_outputs=1)
        self._twins[old] = write.put(made, old.dtype or _FLOAT)
        return True

    def _scaled(self, node: ir.Node) -> bool:
        """A product: of a mask in blocks, in the kernel that takes bytes."""
        found = masks.parts(node)
        if (
            found is None
            or found[1] not in self._twins
            or not _alike(*node.inputs)
            or not _fits(node, list(found))
        ):
            return self._elementwise(node)
        old, (ct, told) = node.outputs[0], map(self._twin, found)
        self._twins[old] = masks.masked(self._writer(old), ct, told)
        return True

    def _turns(self, value: ir.Value) -> bool:
        """Whether a value has a twin, or can have one."""
        return value in self._twins or value.dtype == _FLOAT

    def _twin(self, value: ir.Value) -> ir.Value:
        if value in self._pending:
            self._twins[value] = self._pending.pop(value).write(self._writer(value))
        if value not in self._twins:
            write = self._writer(value)
            self._twins[value] = write.node("ReorderInput", value, domain=DOMAIN)
        twin, image = self._twins[value], _image(value)
        if image is not None and whole(image[0]) == image[0]:
            twin.shape = value.shape
        return twin

    def _writer(self, value: ir.Value, what: str = "in-blocks") -> Writer:
        # Where nodes are put does not matter: they are sorted in the end.
        producer = value.producer()
        return Writer(self._graph[0] if producer is None else producer, f"{value.name}/{what}")


_SAYING: dict[str, Callable[[_Regions, ir.Node], bool]] = {
    "Add": _Regions._sum,
    "BatchNormalization": _Regions._norm,
    "Clip": _Regions._activation,
    "Concat": _Regions._concat,
    "Conv": _Regions._convolution,
    "ConvTranspose": _Regions._transposed,
    "MatMul": _Regions._dot,
    "Mul": _Regions._scaled,
    "ReduceSum": _Regions._channel_sums,
    "Relu": _Regions._activation,
    "Reshape": _Regions._product,
    "Split": _Regions._split,
}


def _near(uses: Sequence[Use], places: Mapping[ir.Node, int]) -> list[list[Use]]:
    """Uses together that are near each other in a graph; at least one list."""
    groups: list[list[Use]] = []
    before = 0
    for use in sorted(uses, key=lambda use: places.get(use[0], 0)):
        place = places.get(use[0], 0)  # 0 for what stands inside of a node
        if not groups or place - before > _FAR:
            groups.append([])
        groups[-1].append(use)
        before = place
    return groups or [[]]


def _by_channels(node: ir.Node) -> bool:
    """Whether a node takes images of whole blocks of channels apart, or puts them together."""
    axis, values = node.attributes.get("axis"), [*node.outputs, *node.inputs]
    images = [v for v in values if v is not None and v.dtype == _FLOAT]
    sizes = [_image(value) for value in images]
    whole_blocks = all(size is not None and whole(size[0]) == size[0] for size in sizes)
    return axis is not None and axis.as_int() in (1, -3) and whole_blocks


def _channels(value: ir.Value) -> int | None:
    shape = value.shape
    known = shape is not None and len(shape) == 4 and isinstance(shape[1], int)
    return int(shape[1]) if known and shape is not None else None  # type: ignore[arg-type]


def _image(value: ir.Value) -> tuple[int, int, int] | None:
    """Channels, rows and columns, where they are known."""
    dims = () if value.shape is None else value.shape.dims
    known = [dim for dim in dims[1:] if isinstance(dim, int) and dim > 0]
    if len(dims) != 4 or len(known) != 3 or known[0] % 4:
        return None
    return known[0], known[1], known[2]


def _alike(value: ir.Value | None, other: ir.Value | None) -> bool:
    """Whether two values have the same shape for certain."""
    shapes = [None if v is None else v.shape for v in (value, other)]
    known = all(s is not None and all(_known(d) for d in s) for s in shapes)
    return known and shapes[0] == shapes[1]


def _known(dim: int | ir.SymbolicDim) -> bool:
    return isinstance(dim, int) or dim.value is not None


def _is_number(value: ir.Value) -> bool:
    """Whether a value has one element, so that it broadcasts in any layout."""
    return value.shape is not None and len(value.shape) <= 1 and all(d == 1 for d in value.shape)


def _numbers(values: Sequence[ir.Value | None]) -> tuple[float, ...] | None:
    """What constants of one element hold; None where one of them is not known."""
    tensors = [None if v is None else ir.convenience.get_const_tensor(v) for v in values]
    found = [t.numpy().ravel() for t in tensors if t is not None]
    if len(found) < len(values) or any(array.size != 1 for array in found):
        return None
    return tuple(float(array[0]) for array in found)


def _fits(node: ir.Node, wide: list[ir.Value]) -> bool:
    """Whether a node is the same in blocks: of images of the same sizes, and of numbers.

    What fills a block up has to stay finite, as it meets zeros in the next kernel. So there it may
    be compared with a number, no more.
    """
    sizes = {_image(value) for value in (*wide, *node.outputs)}
    if None in sizes or len(sizes) > 1 or node.outputs[0].dtype not in {_FLOAT, ir.DataType.BOOL}:
        return False
    channels = sizes.pop()[0]  # type: ignore[index]
    finite = len(wide) == len(node.inputs) or node.op_type in _COMPARISONS
    return (finite and node.op_type not in _WHOLE) or whole(channels) == channels
