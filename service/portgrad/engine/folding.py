"""How much the runtime would compute of constants while it opens a graph.

It keeps what it computes. A few bytes can ask for any amount: ConstantOfShape of 2e8 took 12 s and
2.5 GB to open. Where that is too much nothing is folded, and such values live during runs alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.engine.arrays import Array
from portgrad.graph.arithmetic import INTEGER, is_small
from portgrad.graph.types import element_bytes

# Multiplications of products whose factors are all constant: about a second's.
_WORK = 2**31
_PRODUCTS = frozenset("Conv ConvInteger ConvTranspose Einsum Gemm MatMul MatMulInteger".split())
_SHORT = 1024
NEVER_FOLDED = frozenset(
    "Bernoulli If Loop Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike "
    "Scan SequenceMap".split()
)


def constants(graph: ir.Graph) -> set[ir.Value]:
    """What a graph holds and what is made of that alone, so that the runtime computes it once.

    Nothing of a loop or branch is: its body may read what comes with a call.
    """
    found = {value for value in graph.initializers.values() if not value.is_graph_input()}
    for node in graph:
        given = all(value is None or value in found for value in node.inputs)
        if given and node.op_type not in NEVER_FOLDED:
            found.update(node.outputs)
    return found


def folds_too_much(model: ir.Model, nodes: Iterable[ir.Node], most: int) -> bool:
    """Whether constant folding would make more bytes than a limit, beyond what the file holds.

    What follows from the sizes of weights, such as a transposed one, counts as theirs.

    Args:
        model: the graph.
        nodes: its nodes, those of its subgraphs included.
        most: the limit.
    """
    count = _Count()
    for graph in (model.graph, *model.graph.subgraphs()):
        for value in graph.initializers.values():
            if value.const_value is not None and not value.is_graph_input():
                count.hold(value, value.const_value)
    allowed = most + 4 * sum(count.sizes.values())
    for node in nodes:
        count.visit(node)
        if count.made > allowed or count.work > _WORK:
            return True
    return False


class _Count:
    """What is constant of a graph, in bytes, and of short integer vectors their numbers.

    Attributes:
        sizes: the bytes of each constant value.
        made: the bytes of those that nodes make.
        work: the multiplications of products among them.
    """

    def __init__(self) -> None:
        self.sizes: dict[ir.Value, float] = {}
        self.made = self.work = 0.0
        self._numbers: dict[ir.Value, Array] = {}

    def hold(self, value: ir.Value, tensor: ir.TensorProtocol) -> None:
        """Take in what the file holds."""
        self.sizes[value] = tensor.size * element_bytes(tensor.dtype)
        if tensor.size <= _SHORT and tensor.dtype != ir.DataType.STRING:
            self._numbers[value] = tensor.numpy()

    def visit(self, node: ir.Node) -> None:
        """Take in what a node makes, if that is constant."""
        if not self._is_constant(node):
            return
        if node.op_type == "Constant":
            tensor = ir.convenience.get_const_tensor(node.outputs[0])
            if tensor is not None:
                self.hold(node.outputs[0], tensor)
                return
        for output in node.outputs:
            self.sizes[output] = self._bytes(node, output)
            self.made += self.sizes[output]
        self._compute(node)
        self.work += _multiplications(node)

    def _is_constant(self, node: ir.Node) -> bool:
        if node.op_type in NEVER_FOLDED:
            return False
        if node.op_type in {"Shape", "Size"} and node.inputs[0] is not None:
            return node.inputs[0] in self.sizes or _elements(node.inputs[0]) is not None
        return all(value is None or value in self.sizes for value in node.inputs)

    def _bytes(self, node: ir.Node, output: ir.Value) -> float:
        elements = _elements(output)
        if elements is None:
            elements = self._asked(node)
        if elements is None:  # of an operator that makes no more than it is given
            return sum(self.sizes.get(v, 0.0) for v in node.inputs if v is not None)
        return elements * element_bytes(output.dtype)

    def _asked(self, node: ir.Node) -> float | None:
        """The elements that numbers among the operands ask for; None where none do."""
        if node.op_type not in _ASKING:
            return None
        given = [None if v is None else self._numbers.get(v) for v in node.inputs]
        elements = next((_elements(v) for v in node.inputs if v is not None), None)
        try:
            return float(_ASKING[node.op_type](elements, given))
        except (TypeError, ValueError, LookupError):  # a number is not known, or not right
            return math.inf

    def _compute(self, node: ir.Node) -> None:
        given = [self._numbers.get(v) for v in node.inputs if v is not None]
        kinds = "biu" if node.op_type in {"Div", "Mod"} else "biuf"
        known = [x for x in given if x is not None and x.dtype.kind in kinds]
        function = INTEGER.get(node.op_type)
        if function is None or len(known) < len(given) or not is_small(node.op_type, known):
            return
        attributes = {name: attribute.value for name, attribute in node.attributes.items()}
        try:
            with np.errstate(all="raise"):
                self._numbers[node.outputs[0]] = np.asarray(function(*known, **attributes))
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return  # the runtime will say what is wrong


def _product(numbers: Array | None) -> float:
    if numbers is None:
        raise LookupError("not known")
    return math.prod(float(number) for number in numbers.ravel())


# The elements of an output, by those of the first operand and the operands that are known.
_ASKING: Mapping[str, Callable[[Any, list[Any]], float]] = {
    "BlackmanWindow": lambda _, given: given[0],
    "CenterCropPad": lambda elements, given: elements * _product(given[1]),
    "Col2Im": lambda elements, given: elements * _product(given[1]),
    "ConstantOfShape": lambda _, given: _product(given[0]),
    "Expand": lambda elements, given: elements * _product(given[1]),
    "HammingWindow": lambda _, given: given[0],
    "HannWindow": lambda _, given: given[0],
    "MelWeightMatrix": lambda _, given: given[0] * given[1],
    "OneHot": lambda elements, given: elements * given[1].ravel()[0],
    "Pad": lambda elements, given: elements * _product(1.0 + np.maximum(given[1], 0)),
    "Range": lambda _, given: (given[1] - given[0]) / given[2],
    "Resize": lambda elements, given: (
        _product(given[3]) if len(given) > 3 else elements * _product(given[2])
    ),
    "Tile": lambda elements, given: elements * _product(given[1]),
    "Upsample": lambda elements, given: elements * _product(given[1]),
}


def _elements(value: ir.Value) -> float | None:
    if value.shape is None or not all(isinstance(dim, int) for dim in value.shape):
        return None
    return math.prod(float(dim) for dim in value.shape if isinstance(dim, int))


def _multiplications(node: ir.Node) -> float:
    if node.op_type not in _PRODUCTS or len(node.inputs) < 2 or node.inputs[1] is None:
        return 0.0
    made, factor = _elements(node.outputs[0]), _elements(node.inputs[1])
    if made is None or factor is None or node.inputs[1].shape is None:
        return 0.0
    *_, columns = [1, *(d for d in node.inputs[1].shape if isinstance(d, int))]
    return made * factor / max(columns, 1)
