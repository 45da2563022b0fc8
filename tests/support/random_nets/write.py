"""Writing a random net: one call or subgraph after the other, on the values there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from support.double import Arrays
from support.random_nets.calls import LARGEST as MODERATE
from support.random_nets.calls import Call
from support.random_nets.net import Net
from support.random_nets.steps import (
    Body,
    Branched,
    Called,
    Compared,
    Fitted,
    Listed,
    Looped,
    Mapped,
    Moved,
    Picked,
    Scanned,
    Step,
)

Draw = Callable[[st.SearchStrategy[Any]], Any]

# The reference evaluator runs none where it captures values or comes to be empty, and onnxruntime
# has no kernel of Optional at opset 28.
SEQUENCES = {
    **dict.fromkeys(Listed.operators, "listed"),
    **dict.fromkeys(Picked.operators, "picked"),
    "SequenceMap": "mapped",
}
# What has no rows: a name for how each is written.
CONTROL = {"If": "if", "Loop": "loop", "Scan": "scan", **SEQUENCES}
LARGEST, DEPTH = 30, 2  # nodes of a net; subgraphs in subgraphs
_FIT, _MOVE = 2, 5  # nodes


@dataclass
class Scope:
    """What a graph or a body sees.

    Attributes:
        steps: its steps so far.
        env: a sample of each value.
        pool: names of floating values that others may be computed from.
        depth: how deep the body is.
    """

    steps: list[Step]
    env: Arrays
    pool: list[str]
    depth: int = 0


class Writer:
    """Writes a net step by step.

    Args:
        draw: hypothesis' own.
        net: the net, empty.
        choose: draws a call of an operator; None where the net can hold none.
        everything: the operators.
    """

    def __init__(
        self,
        draw: Draw,
        net: Net,
        choose: Callable[[str], Call | None],
        everything: Sequence[str],
    ) -> None:
        self.draw, self.net, self.choose, self.everything = draw, net, choose, everything
        self.scope = Scope(net.steps, {}, [])
        self.count = 0
        self.settings: set[str] = set()  # what is no target, and keeps its shape
        self._names = 0

    def must(self, op: str) -> tuple[list[str], list[str]]:
        """Add an operator; its differentiable results, and its operands that may be targets."""
        if op in CONTROL:
            return self._control(op), []
        call = self.choose(op)
        assert call is not None
        return self._call(call)

    def step(self, op: str) -> bool:
        """Add an operator if the net can hold it, else leave it; False where the net is full."""
        left = LARGEST - self.count
        if op in CONTROL:
            runs = op not in SEQUENCES or not (self._reference or self.net.opset >= 28)
            if runs and self.scope.depth < DEPTH and left > 12:
                self._control(op)
        elif call := self.choose(op):
            self._call(call)
        return left > 1

    # Calls.

    def _call(self, call: Call) -> tuple[list[str], list[str]]:
        operands = [self._operand(call, i, x) for i, x in enumerate(call.row.inputs)]
        results = [self._name("y") if name else "" for name in call.row.output_names]
        step = Called(call, operands, results)
        if not self._fits(step):  # too large, or out of the domain: the row's own operands are not
            operands = [
                self._given("x", x, constant=i in call.row.constants) if x is not None else ""
                for i, x in enumerate(call.row.inputs)
            ]
            step = Called(call, operands, results)
        self._add(step, pool=[results[i] for i in call.typical])
        targets = [operands[i] for i in call.row.targets]
        return [results[i] for i in call.differentiable], targets

    def _fits(self, step: Step) -> bool:
        try:
            return all(_moderate(x) for x in step.run(self.scope.env).values())
        except Exception:  # whatever an engine raises out of the domain
            return False

    def _operand(self, call: Call, position: int, x: np.ndarray | None) -> str:
        row = call.row
        if x is None:
            return ""
        if position not in row.targets or position in row.constants:
            name = self._given("setting", x, constant=position in row.constants)
            self.settings.add(name)
            return name
        room = LARGEST - self.count - 1 - _MOVE * len(row.inputs)
        ways = ["port", "weight"]
        if self.scope.pool and room > 0:
            ways += 2 * ["moved"] * (call.amplitude > 0.0) + 3 * ["taken"] * call.takes_anything
        way = self.draw(st.sampled_from(ways))
        if way == "taken":
            return self._shaped(self._value(), x.shape)
        name = self._given("x", x, constant=way == "weight")
        if position in row.fixed:
            self.settings.add(name)
        return self._moved(name, call.amplitude) if way == "moved" else name

    def _given(self, stem: str, x: np.ndarray, *, constant: bool) -> str:
        """A new port or initializer. Bodies capture it."""
        name = self._name(stem)
        (self.net.weights if constant else self.net.ports)[name] = x
        self.scope.env[name] = x
        if stem == "x" and _usable(x):
            self.scope.pool.append(name)
        return name

    def _value(self) -> str:
        if not self.scope.pool:
            self._given("x", np.linspace(-0.9, 1.3, 6).reshape(2, 3), constant=False)
        return self.draw(st.sampled_from(self.scope.pool))

    def _shaped(self, source: str, shape: tuple[int, ...], *, anew: bool = False) -> str:
        """A value in a shape: itself where it has it, unless it must be a new one."""
        x = self.scope.env[source]
        if x.shape == shape and not anew:
            return source
        seed = self.draw(st.integers(0, 99))
        places = np.random.default_rng(seed).integers(0, x.size, shape)
        name = self._setting("places", places)
        self._setting_named("flat", np.array([-1]))
        return self._add(Fitted(source, name, self._name("fit"), places))[0]

    def _moved(self, base: str, amplitude: float) -> str:
        source = self._shaped(self._value(), self.scope.env[base].shape)
        factor = self._setting("amplitude", np.array(amplitude))
        return self._add(Moved(base, source, (factor, amplitude), self._name("moved")))[0]

    # Subgraphs.

    def _control(self, op: str) -> list[str]:
        step: Step = getattr(self, f"_{CONTROL[op]}")()
        return self._add(step, pool=[name for name in step.results if name])

    def _if(self) -> Branched:
        if self.draw(st.booleans()):
            source = self._value()
            bound = np.sum(self.scope.env[source]) + self.draw(st.sampled_from([-0.5, 0.5]))
            condition = Compared(source, self._setting("bound", bound), self._name("condition"))
            [flag] = self._add(condition)
        else:
            flag = self._given("flag", np.array(self.draw(st.booleans())), constant=False)
            self.settings.add(flag)
        shapes = [self.scope.env[self._value()].shape for _ in range(self.draw(st.integers(1, 2)))]
        yes, no = (self._body(name, {}, lambda: self._fitted(shapes)) for name in ("yes", "no"))
        return Branched(flag, (yes, no), self._fresh(shapes))

    def _loop(self) -> Looped:
        states = [self._value() for _ in range(self.draw(st.integers(1, 2)))]
        slices = [self.scope.env[self._value()].shape] * self.draw(st.integers(0, 1))
        counter, going = self._name("counter"), self._name("going")
        inside = {self._name("state"): self.scope.env[name] for name in states}
        given = {counter: np.array(0), going: np.array(True), **inside}
        last = self._setting("last", np.array(self.draw(st.integers(0, 3))))

        def finish() -> list[str]:
            [again] = self._add(Compared(counter, last, self._name("again")))
            return [again, *self._next(inside), *self._fitted(slices)]

        # The reference evaluator gives no slices of no iteration.
        trips = np.array(self.draw(st.integers(int(self._reference), 3)))
        operand = "" if self.draw(st.booleans()) else self._given("trips", trips, constant=False)
        self.settings.add(operand)
        condition = self._setting("start", np.array(True))
        return Looped(
            operand,
            condition,
            states,
            self._body("body", given, finish),
            self._fresh([*inside, *slices]),
        )

    def _scan(self) -> Scanned:
        states = [self._value() for _ in range(self.draw(st.integers(0, 1)))]
        inside = {self._name("state"): self.scope.env[name] for name in states}
        operands, read = self._scanned()
        slices = {
            self._name("slice"): np.take(self.scope.env[name], 0, axis)
            for name, (axis, _) in zip(operands, read, strict=True)
        }
        shapes = [self.scope.env[self._value()].shape]
        written = [(self._axis(len(s) + 1), self.draw(st.booleans())) for s in shapes]

        def finish() -> list[str]:
            return [*self._next(inside), *self._fitted(shapes)]

        body = self._body("body", {**inside, **slices}, finish)
        return Scanned(states, operands, body, self._fresh([*inside, *shapes]), read, written)

    def _listed(self) -> Listed:
        first = self._value()
        shape = self.scope.env[first].shape
        sources = (first, *(self._shaped(self._value(), shape) for _ in range(2)))
        place = self.draw(st.integers(1, 2))
        self._setting_named("one", np.array(1))
        axis = self.draw(st.integers(0, len(shape)))
        return Listed(
            sources, (self._setting("place", np.array(place)), place), axis, self._name("y")
        )

    def _picked(self) -> Picked:
        [source], [(axis, _)] = self._sliced()
        place = self.draw(st.integers(-1, 0))
        return Picked(
            source, (self._setting("place", np.array(place)), place), axis, self._name("y")
        )

    def _mapped(self) -> Mapped:
        [source], [(axis, _)] = self._sliced()
        slices = {self._name("slice"): np.take(self.scope.env[source], 0, axis)}
        shape = self.scope.env[self._value()].shape
        body = self._body("body", slices, lambda: self._fitted([shape]))
        return Mapped(source, axis, body, self._name("y"))

    def _scanned(self) -> tuple[list[str], list[tuple[int, bool]]]:
        """One or two values of the same length to scan along some axis."""
        operands, read = self._sliced()
        [(axis, _)], other = read, self._axis(2)
        shape = self.scope.env[operands[0]].shape
        if self.draw(st.booleans()):
            sizes = (2, shape[axis]) if other else (shape[axis], 2)
            operands.append(self._shaped(self._value(), sizes))
            read.append((other, self.draw(st.booleans())))
        return operands, read

    def _sliced(self) -> tuple[list[str], list[tuple[int, bool]]]:
        """A value to read along some axis, one way or the other."""
        source = self._value()
        if not self.scope.env[source].ndim:
            source = self._shaped(source, (3, 2))
        axis = self._axis(self.scope.env[source].ndim)
        return [source], [(axis, self.draw(st.booleans()))]

    def _axis(self, count: int) -> int:
        """An axis to scan along; the reference evaluator knows the first one alone."""
        return 0 if self._reference else self.draw(st.integers(0, count - 1))

    def _body(self, name: str, inputs: Arrays, finish: Callable[[], list[str]]) -> Body:
        outer = self.scope
        floats = [n for n, x in inputs.items() if _usable(x)]
        pool = [*outer.pool, *floats]
        self.scope = Scope([], {**outer.env, **inputs}, pool, outer.depth + 1)
        for _ in range(self.draw(st.integers(1, 2))):
            self.step(self.draw(st.sampled_from(self.everything)))
        outputs = {n: self.scope.env[n] for n in finish()}
        body = Body(self._name(name), self.net.kind.dtype, inputs, self.scope.steps, outputs)
        self.scope = outer
        outer.env |= {**self.net.ports, **self.net.weights}
        return body

    def _next(self, states: Arrays) -> list[str]:
        """New states: the old ones moved by something."""
        return [self._moved(name, 0.3) for name in states]

    def _fitted(self, shapes: Sequence[tuple[int, ...]]) -> list[str]:
        return [self._shaped(self._value(), shape, anew=True) for shape in shapes]

    @property
    def _reference(self) -> bool:
        return self.net.kind.engine == "reference"

    # Names and values.

    def _add(self, step: Step, pool: Sequence[str] | None = None) -> list[str]:
        self.scope.steps.append(step)
        own = isinstance(step, Branched | Looped | Scanned | Mapped)  # what is inside is counted
        self.count += 1 if own else len(list(step.nodes()))
        found = step.run(self.scope.env)
        self.scope.env |= found
        names = list(found) if pool is None else pool
        self.scope.pool += [name for name in names if _usable(found[name])]
        return list(found) if pool is None else list(pool)

    def _fresh(self, of: Sequence[object]) -> list[str]:
        return [self._name("y") for _ in of]

    def _setting(self, stem: str, x: np.ndarray) -> str:
        return self._setting_named(self._name(stem), x)

    def _setting_named(self, name: str, x: np.ndarray) -> str:
        self.net.weights[name] = self.scope.env[name] = np.asarray(x)
        self.settings.add(name)
        return name

    def _name(self, stem: str) -> str:
        self._names += 1
        return f"{stem}{self._names}"


def _usable(x: np.ndarray) -> bool:
    return bool(x.dtype.kind == "f" and x.size) and _moderate(x)


def _moderate(x: np.ndarray) -> bool:
    return x.dtype.kind != "f" or bool(np.all(np.abs(x) <= MODERATE))
