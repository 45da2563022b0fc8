"""Running a plan on one net: as the arrays are, as one example, or over a batch of examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
import onnx_ir as ir

from portgrad.engine import batches, empties, seeds
from portgrad.engine.arrays import Array, Value
from portgrad.engine.batches import AS_IS, EXAMPLE, Dims, Reading
from portgrad.engine.cache import Cache
from portgrad.engine.examples import Layout
from portgrad.engine.plan import Compiled, Plan, Results
from portgrad.engine.sessions import Weights
from portgrad.errors import RunFailed
from portgrad.graph.batching import Batched, batched, examples, together
from portgrad.graph.names import Names
from portgrad.graph.types import shape_of

Arrays: TypeAlias = Mapping[str, Array]
Values: TypeAlias = Mapping[str, Value]
Sessions: TypeAlias = Cache[tuple[Any, ...], Any]
Ports: TypeAlias = frozenset[str]
Made = TypeVar("Made")


@dataclass
class Execution:
    """One call: what it needs on the way in, what it found on the way out."""

    plan: Plan
    data: Values
    imposed: Arrays
    reading: Reading
    results: Results = field(default_factory=lambda: Results({}, {}))
    warnings: tuple[str, ...] = ()
    timings: dict[str, float] = field(default_factory=lambda: {"compile": 0.0, "run": 0.0})

    def timed(self, stage: str, work: Callable[[], Made]) -> Made:
        """Do some work and add its seconds to a stage."""
        start = time.perf_counter()
        try:
            return work()
        finally:
            self.timings[stage] += time.perf_counter() - start


class Executor:
    """Runs plans on one net; safe to use from several threads.

    Args:
        key: the net's id.
        model: the normalised net.
        names: its names.
        sessions: where compiled plans are kept.
        threads: threads for each run.
    """

    def __init__(
        self, key: str, model: ir.Model, names: Names, sessions: Sessions, threads: int
    ) -> None:
        self._key = key
        self._model = model
        self._names = names
        self._weights = Weights(model)
        self._sessions = sessions
        self._threads = threads
        self._ports = {name: shape_of(value) for name, value in names.inputs.items()}

    def execute(self, plan: Plan, data: Values, imposed: Arrays, batch: str | None) -> Execution:
        """Run a plan on the first reading of the arrays that fits, or the one that is forced."""
        call = Execution(plan, data, imposed, batches.read(self._ports, data, batch))
        if call.reading.kind == AS_IS:
            self._once(call)
        elif call.reading.kind == EXAMPLE:
            self._as_example(call)
        elif call.reading.count == 0 or not self._as_one_batch(call):
            self._one_by_one(call)
        return call

    def compiled(self, plan: Plan, over: Ports = frozenset()) -> Compiled:
        """A plan's session; `over` names the ports that carry a batch over their fixed 1."""
        variant = self._batched(over) if over else None
        model = self._model if variant is None else variant.model
        return self._kept(
            ("session", over, plan), lambda: plan.compile(model, self._weights, self._threads)
        )

    def _kept(self, key: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        found: Made = self._sessions.get((self._key, *key), make)
        return found

    def _batched(self, over: Ports) -> Batched | None:
        return self._kept(("batched", over), lambda: batched(self._model, over))

    def _dims(self, name: str) -> Dims | None:
        return shape_of(self._names.resolve(name, name))

    def _shapes(self, call: Execution, names: Iterable[str]) -> dict[str, Dims | None]:
        return {name: seeds.sized(self._dims(name), call.reading.sizes) for name in names}

    def _layout(self, reading: Reading) -> Layout:
        return Layout(
            self._ports, reading.batched, self._names.parameters.keys(), self._names.shape
        )

    def _once(self, call: Execution) -> None:
        """The net as it is."""
        shapes = self._shapes(call, call.imposed)
        ready = {n: seeds.checked(seed, shapes[n], n) for n, seed in call.imposed.items()}
        symbol = empties.empty_symbol(self._ports, call.reading)
        read = (*call.plan.of, *call.plan.outputs)
        if symbol and empties.in_all(symbol, map(self._dims, read)):
            self._of_none(call, ready, symbol)
        else:
            call.results = self._run(call, self._compile(call), call.data, ready)

    def _of_none(self, call: Execution, ready: Arrays, symbol: str) -> None:
        """One example of zeros, cut to none: see `empties`."""
        led = {name for name, dims in self._ports.items() if symbol in (dims or ())}
        data = empties.one_of_zeros(call.data, led)
        zeros = {name: np.zeros((1,) * seed.ndim, seed.dtype) for name, seed in ready.items()}
        found = self._run(call, self._compile(call), data, zeros)
        found = found.mapped(lambda name, a: empties.cut(a, self._dims(name), symbol))
        nothing = {name: np.zeros_like(a) for name, a in found.gradients.items()}
        call.results = Results(nothing, found.outputs)

    def _as_example(self, call: Execution) -> None:
        """A single example gets its leading axis and loses it again."""
        led, batched = self._layout(call.reading).led, call.reading.batched
        data = {n: np.asarray(a)[None] if n in batched else a for n, a in call.data.items()}
        shapes, ready = self._shapes(call, call.imposed), {}
        for name, seed in call.imposed.items():
            dims = shapes[name]
            own = seeds.checked(seed, dims[1:] if dims and led(name) else dims, name)
            ready[name] = seeds.checked(own, dims, name)
        results = self._run(call, self._compile(call), data, ready)
        call.results = results.mapped(lambda n, a: a[0] if led(n) and a.shape[0] == 1 else a)

    def _as_one_batch(self, call: Execution) -> bool:
        """Run all examples at once where the net's structure allows it for what is asked."""
        over, count, layout = call.reading.batched, call.reading.count, self._layout(call.reading)
        variant = call.timed("compile", lambda: self._batched(over))
        targets = [name for name in call.plan.wrt if layout.own(name)]
        carried = [*targets, *call.plan.of, *call.plan.outputs]
        if variant is None or not all(name in variant.axis for name in carried):
            return False
        shapes, ready = self._shapes(call, carried), {}
        for name, seed in call.imposed.items():
            dims, stacked = shapes[name] or (), not layout.concatenated(name)
            whole = seeds.checked(seed, seeds.of_batch(dims, count, stacked), name)
            ready[name] = together(whole if stacked else whole[:, None], variant.axis[name])
        found = self._run(call, self._compile(call, over), call.data, ready)

        def shown(name: str, array: Array) -> Array:
            if name not in carried:
                return array  # a total over the examples
            apart = examples(array, variant.axis[name])
            return apart[:, 0] if layout.concatenated(name) else apart

        call.results = found.mapped(shown)
        return True

    def _one_by_one(self, call: Execution) -> None:
        """One run for each example; for none at all, a run on zeros that tells the shapes."""
        layout, count = self._layout(call.reading), call.reading.count
        compiled, shapes = self._compile(call), self._shapes(call, call.imposed)
        cut = {
            name: seeds.split(seed, count, shapes[name], not layout.concatenated(name), name)
            for name, seed in call.imposed.items()
        }
        runs = [
            self._run(
                call,
                compiled,
                layout.example(call.data, index),
                {name: parts[index] for name, parts in cut.items()},
            )
            for index in range(count)
        ]
        if count == 0:
            none = {
                name: np.zeros((1,) * len(shapes[name] or ()), seed.dtype)
                for name, seed in call.imposed.items()
            }
            data = empties.one_of_zeros(call.data, call.reading.batched)
            runs = [self._run(call, compiled, data, none)]
        call.results = layout.joined(runs, count)

    def _compile(self, call: Execution, over: Ports = frozenset()) -> Compiled:
        compiled = call.timed("compile", lambda: self.compiled(call.plan, over))
        call.warnings = compiled.warnings
        return compiled

    def _run(self, call: Execution, compiled: Compiled, data: Values, ready: Arrays) -> Results:
        try:
            return call.timed("run", lambda: compiled.run(data, ready))
        except RunFailed:
            if ready:
                self._refuse_wrong_seeds(data, ready)
            raise

    def _refuse_wrong_seeds(self, data: Values, ready: Arrays) -> None:
        """Where the run failed, see whether an imposed array of a shape known only now is why."""
        outputs = self.compiled(Plan(outputs=tuple(ready))).run(data, {}).outputs
        for name, seed in ready.items():
            seeds.checked(seed, outputs[name].shape, name)
