"""The steps of a random net: each knows how to run on its own, and which nodes it is.

Running steps goes through no graph: each call runs by itself, and branches and loops are Python's
own. So the forward pass that differences are taken of is independent of what the gradient graph
does with captures, states and shapes, and any value on the way can be moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
import onnx
from onnx import helper

from support.double import Arrays
from support.random_nets.calls import Call, operator
from support.rig import port


class Step(Protocol):
    """Something that gives values names."""

    @property
    def operators(self) -> tuple[str, ...]:
        """What it is there for, where it is not to make operands fit."""

    def run(self, env: Arrays) -> Arrays:
        """The values that it adds, by name."""

    def nodes(self) -> Iterator[onnx.NodeProto]:
        """Its nodes."""


@dataclass(frozen=True)
class Called:
    """A row of the rule table on values; outputs that the row leaves out have empty names."""

    call: Call
    operands: Sequence[str]
    results: Sequence[str]

    @property
    def operators(self) -> tuple[str, ...]:
        return (operator(self.call.row),)

    def run(self, env: Arrays) -> Arrays:
        found = self.call.run([env[name] if name else None for name in self.operands])
        return dict(zip([name for name in self.results if name], found, strict=True))

    def nodes(self) -> Iterator[onnx.NodeProto]:
        node = onnx.NodeProto()
        node.CopyFrom(self.call.node)
        node.name = next(name for name in self.results if name) + "/node"
        node.input[:], node.output[:] = self.operands, self.results
        yield node


@dataclass(frozen=True)
class Fitted:
    """Elements of a value, with repetition, in another shape: any value fits any operand."""

    source: str
    places: str
    result: str
    indices: np.ndarray

    operators: ClassVar[tuple[str, ...]] = ()

    def run(self, env: Arrays) -> Arrays:
        return {self.result: env[self.source].reshape(-1)[self.indices]}

    def nodes(self) -> Iterator[onnx.NodeProto]:
        flat = f"{self.result}/flat"
        yield helper.make_node("Reshape", [self.source, "flat"], [flat])
        yield helper.make_node("Gather", [flat, self.places], [self.result])


@dataclass(frozen=True)
class Moved:
    """A point moved a little by a value: base + amplitude · sin(value)."""

    base: str
    source: str
    amplitude: tuple[str, float]
    result: str

    operators: ClassVar[tuple[str, ...]] = ()

    def run(self, env: Arrays) -> Arrays:
        return {self.result: env[self.base] + self.amplitude[1] * np.sin(env[self.source])}

    def nodes(self) -> Iterator[onnx.NodeProto]:
        sine, scaled = f"{self.result}/sine", f"{self.result}/scaled"
        yield helper.make_node("Sin", [self.source], [sine])
        yield helper.make_node("Mul", [sine, self.amplitude[0]], [scaled])
        yield helper.make_node("Add", [self.base, scaled], [self.result])


@dataclass(frozen=True)
class Compared:
    """Whether the sum of a value is below a bound."""

    source: str
    bound: str
    result: str

    operators: ClassVar[tuple[str, ...]] = ()

    def run(self, env: Arrays) -> Arrays:
        return {self.result: np.sum(env[self.source]) < env[self.bound]}

    def nodes(self) -> Iterator[onnx.NodeProto]:
        total = f"{self.result}/total"
        yield helper.make_node("ReduceSum", [self.source], [total], keepdims=0)
        yield helper.make_node("Less", [total, self.bound], [self.result])


@dataclass(frozen=True)
class Body:
    """A subgraph: its inputs and outputs with what they look like, and its steps.

    A typical array stands for each input and output: its dtype, and its shape, which is declared.
    """

    name: str
    dtype: type
    inputs: Mapping[str, np.ndarray]
    steps: Sequence[Step]
    outputs: Mapping[str, np.ndarray]

    def run(self, env: Arrays, given: Arrays) -> list[np.ndarray]:
        """The outputs, for values of the inputs."""
        inside = {**env, **given}
        for step in self.steps:
            inside |= step.run(inside)
        return [inside[name] for name in self.outputs]

    def graph(self) -> onnx.GraphProto:
        """The subgraph."""
        nodes = [node for step in self.steps for node in step.nodes()]
        inputs, outputs = (
            [port_like(n, x, self.dtype) for n, x in side.items()]
            for side in (self.inputs, self.outputs)
        )
        return helper.make_graph(nodes, self.name, inputs, outputs)


def port_like(
    name: str, array: np.ndarray, dtype: type, *, symbolic: bool = False
) -> onnx.ValueInfoProto:
    """A port that an array fits, of a floating dtype of the net's."""
    return port(name, array.astype(dtype) if array.dtype == np.float64 else array, symbolic)


@dataclass(frozen=True)
class Branched:
    """If."""

    condition: str
    branches: tuple[Body, Body]
    results: Sequence[str]

    operators: ClassVar[tuple[str, ...]] = ("If",)

    def run(self, env: Arrays) -> Arrays:
        taken = self.branches[0 if env[self.condition] else 1]
        return dict(zip(self.results, taken.run(env, {}), strict=True))

    def nodes(self) -> Iterator[onnx.NodeProto]:
        yes, no = (branch.graph() for branch in self.branches)
        yield helper.make_node(
            "If", [self.condition], self.results, then_branch=yes, else_branch=no
        )


@dataclass(frozen=True)
class Looped:
    """Loop. The body's inputs are the iteration, the condition and the states."""

    trips: str
    condition: str
    states: Sequence[str]
    body: Body
    results: Sequence[str]

    operators: ClassVar[tuple[str, ...]] = ("Loop",)

    def run(self, env: Arrays) -> Arrays:
        counter, going, *names = self.body.inputs
        states = [env[name] for name in self.states]
        proceed, step, written = True, 0, []
        while proceed and (not self.trips or step < env[self.trips]):
            given = {counter: np.array(step), going: np.array(True)}
            condition, *found = self.body.run(env, given | dict(zip(names, states, strict=True)))
            proceed, states = bool(condition), found[: len(names)]
            written.append(found[len(names) :])
            step += 1
        slices = list(self.body.outputs.values())[1 + len(names) :]
        stacks = [_stack([row[k] for row in written], like) for k, like in enumerate(slices)]
        return dict(zip(self.results, [*states, *stacks], strict=True))

    def nodes(self) -> Iterator[onnx.NodeProto]:
        operands = [self.trips, self.condition, *self.states]
        yield helper.make_node("Loop", operands, self.results, body=self.body.graph())


def _stack(rows: Sequence[np.ndarray], like: np.ndarray) -> np.ndarray:
    return np.stack(rows) if rows else np.zeros((0, *like.shape))


@dataclass(frozen=True)
class Scanned:
    """Scan. For each scanned operand and output an axis, and whether it goes from the end."""

    states: Sequence[str]
    operands: Sequence[str]
    body: Body
    results: Sequence[str]
    read: Sequence[tuple[int, bool]] = field(default=())
    written: Sequence[tuple[int, bool]] = field(default=())

    operators: ClassVar[tuple[str, ...]] = ("Scan",)

    def run(self, env: Arrays) -> Arrays:
        count = len(self.states)
        states = [env[name] for name in self.states]
        slices = [_slices(env[n], *w) for n, w in zip(self.operands, self.read, strict=True)]
        rows = []
        for given in zip(*slices, strict=True):
            inputs = dict(zip(self.body.inputs, [*states, *given], strict=True))
            found = self.body.run(env, inputs)
            states = found[:count]
            rows.append(found[count:])
        stacks = [
            np.stack([row[k] for row in rows][:: -1 if back else 1], axis=axis)
            for k, (axis, back) in enumerate(self.written)
        ]
        return dict(zip(self.results, [*states, *stacks], strict=True))

    def nodes(self) -> Iterator[onnx.NodeProto]:
        ways = {}
        for side, given in (("input", self.read), ("output", self.written)):
            ways[f"scan_{side}_axes"] = [axis for axis, _ in given]
            ways[f"scan_{side}_directions"] = [int(back) for _, back in given]
        yield helper.make_node(
            "Scan",
            [*self.states, *self.operands],
            self.results,
            body=self.body.graph(),
            num_scan_inputs=len(self.operands),
            **{name: way for name, way in ways.items() if way},
        )


def _slices(array: np.ndarray, axis: int, back: bool) -> list[np.ndarray]:
    rows = list(np.moveaxis(array, axis, 0))
    return rows[::-1] if back else rows


@dataclass(frozen=True)
class Listed:
    """Three values of one shape in a sequence, one of them taken out again, and stacked."""

    sources: tuple[str, str, str]
    place: tuple[str, int]
    axis: int
    result: str
    operators: ClassVar[tuple[str, ...]] = (
        *("SequenceConstruct", "SequenceInsert", "SequenceErase", "ConcatFromSequence"),
    )

    @property
    def results(self) -> tuple[str]:
        return (self.result,)

    def run(self, env: Arrays) -> Arrays:
        first, second, third = (env[name] for name in self.sources)
        values = [first, second]
        values.insert(self.place[1], third)
        del values[self.place[1] - 1]
        return {self.result: np.stack(values, self.axis)}

    def nodes(self) -> Iterator[onnx.NodeProto]:
        first, second, third = self.sources
        two, three, left, before = (
            f"{self.result}/{n}" for n in ("two", "three", "left", "before")
        )
        yield helper.make_node("SequenceConstruct", [first, second], [two])
        yield helper.make_node("SequenceInsert", [two, third, self.place[0]], [three])
        yield helper.make_node("Sub", [self.place[0], "one"], [before])
        yield helper.make_node("SequenceErase", [three, before], [left])
        yield helper.make_node(
            "ConcatFromSequence", [left], [self.result], axis=self.axis, new_axis=1
        )


@dataclass(frozen=True)
class Picked:
    """One slice of a value by a sequence and an optional."""

    source: str
    place: tuple[str, int]
    axis: int
    result: str
    operators: ClassVar[tuple[str, ...]] = (
        *("SplitToSequence", "SequenceAt", "Optional", "OptionalGetElement"),
    )

    @property
    def results(self) -> tuple[str]:
        return (self.result,)

    def run(self, env: Arrays) -> Arrays:
        return {self.result: np.take(env[self.source], self.place[1], self.axis)}

    def nodes(self) -> Iterator[onnx.NodeProto]:
        parts, part, maybe = (f"{self.result}/{name}" for name in ("parts", "part", "maybe"))
        yield helper.make_node(
            "SplitToSequence", [self.source], [parts], axis=self.axis, keepdims=0
        )
        yield helper.make_node("SequenceAt", [parts, self.place[0]], [part])
        yield helper.make_node("Optional", [part], [maybe])
        yield helper.make_node("OptionalGetElement", [maybe], [self.result])


@dataclass(frozen=True)
class Mapped:
    """SequenceMap over the slices of a value, stacked again."""

    source: str
    axis: int
    body: Body
    result: str
    operators: ClassVar[tuple[str, ...]] = (
        *("SplitToSequence", "SequenceMap", "ConcatFromSequence"),
    )

    @property
    def results(self) -> tuple[str]:
        return (self.result,)

    def run(self, env: Arrays) -> Arrays:
        [name] = self.body.inputs
        slices = _slices(env[self.source], self.axis, False)
        return {self.result: np.stack([self.body.run(env, {name: x})[0] for x in slices])}

    def nodes(self) -> Iterator[onnx.NodeProto]:
        parts, made = f"{self.result}/parts", f"{self.result}/made"
        yield helper.make_node(
            "SplitToSequence", [self.source], [parts], axis=self.axis, keepdims=0
        )
        yield helper.make_node("SequenceMap", [parts], [made], body=self.body.graph())
        yield helper.make_node("ConcatFromSequence", [made], [self.result], axis=0, new_axis=1)


def steps_inside(steps: Sequence[Step]) -> Iterator[Step]:
    """Steps, and those of their subgraphs."""
    for step in steps:
        yield step
        if isinstance(step, Branched):
            bodies: Sequence[Body] = step.branches
        else:
            bodies = [step.body] if isinstance(step, Looped | Scanned | Mapped) else []
        for body in bodies:
            yield from steps_inside(body.steps)
