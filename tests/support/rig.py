"""A row of the rule table, and the checks that every row goes through.

A row is one call of one operator: float64 arrays for the operands that have derivatives, arrays
of their own dtype for the rest, None for an operand that is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from portgrad.autodiff import gradient_graph
from portgrad.graph import elements
from support.double import Arrays, directional, runner

# Central differences with step h err by h² times a third derivative plus rounding of 1e-16 / h.
STEP, ADJOINT = 1e-5, 1e-7
# float32 has 24 bits; a gradient is a sum of a few hundred products of values of order one.
SINGLE = 2e-5


@dataclass(frozen=True)
class Row:
    """One call of one operator.

    Args:
        op: the operator.
        inputs: an array for each operand, None where an optional one is left out.
        attributes: attributes off their defaults.
        id: what the row is about.
        outputs: how many outputs the node has; a string of 0 and 1 leaves some out ("101").
        constants: positions of operands that are initializers rather than inputs.
        fixed: positions of operands whose shapes stay numbers in symbolic rows, as kernels' do.
        wrt: positions of the targets; all float64 operands by default.
        of: positions of the outputs that are summed; all floating ones by default.
        opset: the ai.onnx opset of the net.
        domain: the operator's domain, of which its newest version is taken.
        multilinear: no double kernel or reference is right: float32 and step 1, which is exact
            for what is linear in each operand.
        single_only: the operator exists in float32 alone: differences with a large step.
        engine: "reference" where onnxruntime's double kernel computes in float32 inside.
        second: whether second order is checked (False needs a reason beside it).
        single: relative tolerance of float32 against float64.
        expected: exact gradients by position for ones imposed, where differences cannot judge.
    """

    op: str
    inputs: Sequence[np.ndarray | None]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    outputs: int | str = 1
    constants: tuple[int, ...] = ()
    fixed: tuple[int, ...] = ()
    wrt: tuple[int, ...] | None = None
    of: tuple[int, ...] | None = None
    opset: int = 21
    domain: str = ""
    multilinear: bool = False
    single_only: bool = False
    engine: str = "any"
    second: bool = True
    single: float = SINGLE
    expected: Mapping[int, Any] | None = None

    def __str__(self) -> str:
        return f"{self.op}-{self.id}" if self.id else self.op

    @property
    def dtype(self) -> type:
        """The dtype that differences are taken in."""
        return np.float32 if self.multilinear or self.single_only else np.float64

    @property
    def step(self) -> float:
        """The step of central differences: exact at 1 for what is linear in each operand."""
        return 1.0 if self.multilinear else 1e-2 if self.single_only else STEP

    def tolerance(self, order: int = 1) -> float:
        """What central differences of a gradient may err by, relative to its size."""
        if self.multilinear:
            return self.single
        if self.single_only:
            return 2e-3 * order  # h² with h = 0.01 and rounding of 1e-7 / h, by third derivatives
        return ADJOINT if order == 1 else 1e-6  # third derivatives grow with the order

    @property
    def targets(self) -> tuple[int, ...]:
        """Positions of the operands that gradients are asked for."""
        if self.wrt is not None:
            return self.wrt
        return tuple(
            i for i, x in enumerate(self.inputs) if x is not None and x.dtype == np.float64
        )

    @property
    def output_names(self) -> list[str]:
        """Names of the node's outputs, empty where one is left out."""
        flags = self.outputs if isinstance(self.outputs, str) else "1" * self.outputs
        return [f"y{i}" if flag == "1" else "" for i, flag in enumerate(flags)]

    def arrays(self, dtype: type) -> Arrays:
        """The operands by name, float64 ones in another dtype."""
        return {
            f"x{i}": x.astype(dtype) if x.dtype == np.float64 else x
            for i, x in enumerate(self.inputs)
            if x is not None
        }

    def model(self, dtype: type = np.float64, *, symbolic: bool = False) -> onnx.ModelProto:
        """The row as a model of one node, with inferred output types."""
        arrays = self.arrays(dtype)
        constant = {f"x{i}" for i in self.constants}
        fixed = {f"x{i}" for i in self.fixed}
        ports = [
            port(n, x, symbolic and n not in fixed) for n, x in arrays.items() if n not in constant
        ]
        operands = [f"x{i}" if x is not None else "" for i, x in enumerate(self.inputs)]
        node = helper.make_node(
            self.op, operands, self.output_names, "node", domain=self.domain, **self.attributes
        )
        outputs = [onnx.ValueInfoProto(name=name) for name in self.output_names if name]
        weights = [numpy_helper.from_array(arrays[name], name) for name in sorted(constant)]
        graph = helper.make_graph([node], "row", ports, outputs, weights)
        imports = [helper.make_opsetid("", self.opset)]
        if self.domain:
            newest = onnx.defs.C.schema_version_map()[self.domain][1]
            imports.append(helper.make_opsetid(self.domain, newest))
        model = helper.make_model(graph, opset_imports=imports, ir_version=10)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        for output in inferred.graph.output:
            if not output.type.tensor_type.elem_type:  # onnx infers nothing of GroupNormalization
                output.type.CopyFrom(inferred.graph.input[0].type)
        return inferred


def port(name: str, array: np.ndarray, symbolic: bool = False) -> onnx.ValueInfoProto:
    """A graph input that an array fits, with a symbol for each size where that is wanted."""
    shape = [f"{name}_{i}" for i in range(array.ndim)] if symbolic else array.shape
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), shape)


@dataclass(frozen=True)
class Case:
    """A model to differentiate, its feeds, targets and outputs, with fixed random seeds."""

    model: onnx.ModelProto
    feeds: Arrays
    wrt: tuple[str, ...]
    of: tuple[str, ...]
    engine: str = "any"

    def run_forward(self) -> list[np.ndarray]:
        """The outputs at the feeds."""
        return runner(self.forward(), engine=self.engine)(self.feeds)

    def run_gradient(self, seeds: Arrays) -> list[np.ndarray]:
        """The gradients at the feeds, in the order of `wrt`."""
        return runner(self.gradient(), engine=self.engine)({**self.feeds, **seeds})

    def seeds(self, outputs: Sequence[np.ndarray]) -> Arrays:
        """A random cotangent for each output."""
        rng = np.random.default_rng(7)
        return {
            f"seed/{name}": np.asarray(rng.standard_normal(y.shape)).astype(y.dtype)
            for name, y in zip(self.of, outputs, strict=True)
        }

    def forward(self) -> onnx.ModelProto:
        """The model with the outputs of `of` alone."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        known = {v.name: v for v in model.graph.output}
        del model.graph.output[:]
        model.graph.output.extend(known[name] for name in self.of)
        return model

    def gradient(self) -> onnx.ModelProto:
        """The checked gradient graph, one seed for each output."""
        graph = gradient_graph(ir.from_proto(self.model), wrt=self.wrt, of=self.of, seeds=self.of)
        proto = ir.to_proto(graph.model)
        ports = (*proto.graph.input, *proto.graph.output)
        # The checker wants a rank at every port; the seed of a rankless output has none.
        if all(port.type.tensor_type.HasField("shape") for port in ports):
            onnx.checker.check_model(proto, full_check=True)
        return proto


def case(row: Row, dtype: type = np.float64, *, symbolic: bool = False) -> Case:
    """A row as a case of one dtype."""
    model = row.model(dtype, symbolic=symbolic)
    constant = {f"x{i}" for i in row.constants}
    feeds = {name: x for name, x in row.arrays(dtype).items() if name not in constant}
    named = [v.name for v in model.graph.output if _floating(v)]
    of = named if row.of is None else [f"y{i}" for i in row.of]
    return Case(model, feeds, tuple(f"x{i}" for i in row.targets), tuple(of), row.engine)


def _floating(value: onnx.ValueInfoProto) -> bool:
    T = onnx.TensorProto  # noqa: N806
    return value.type.tensor_type.elem_type in {T.FLOAT, T.DOUBLE, T.FLOAT16, T.BFLOAT16}


def check_adjoint(which: Case, *, step: float, tolerance: float) -> Arrays:
    """<gradient, v> equals the central difference along v, for each target and three v."""
    forward = runner(which.forward(), engine=which.engine)
    seeds = which.seeds(forward(which.feeds))
    gradients = dict(zip(which.wrt, which.run_gradient(seeds), strict=True))
    rng = np.random.default_rng(11)
    for name, gradient in gradients.items():
        target = which.feeds.get(name)
        assert target is not None, f"{name} must be an input to be moved"
        assert gradient.shape == target.shape
        assert gradient.dtype == target.dtype
        for _ in range(3):
            v = np.asarray(rng.standard_normal(target.shape))
            numeric = directional(forward, which.feeds, list(seeds.values()), {name: v}, step)
            exact = float(np.vdot(gradient.astype(np.float64), v))
            scale = 1.0 + float(np.linalg.norm(gradient) * np.linalg.norm(v))
            assert abs(exact - numeric) <= tolerance * scale, (name, exact, numeric)
    return gradients


def second_order(which: Case) -> Case:
    """The gradient graph of a case as a net of its own: targets and seeds in, gradients out."""
    seeds = {_first(name): seed for name, seed in which.seeds(which.run_forward()).items()}
    proto = which.gradient()
    _rename(proto.graph)
    proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    elements.forget_inferred(proto)
    feeds = {**which.feeds, **seeds}
    of = tuple(f"first-grad/{name}" for name in which.wrt)
    return Case(proto, feeds, (*which.wrt, *seeds), of, which.engine)


def _first(name: str) -> str:
    return f"first-{name}" if name.startswith(("grad/", "seed/")) else name


def _rename(graph: onnx.GraphProto) -> None:
    """Make room for the names of the next gradient."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = _first(value.name)
    for node in graph.node:
        node.input[:] = [_first(name) for name in node.input]
        node.output[:] = [_first(name) for name in node.output]
