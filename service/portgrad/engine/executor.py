"""Plans on one net: read against its ports, compiled once, run as `ways` has it for a reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from portgrad.autodiff import TANGENT
from portgrad.autodiff.per_example import NotApart
from portgrad.autodiff.randomness import seed_of_example
from portgrad.engine import batches, inseparable, seeds, ways
from portgrad.engine.arrays import Shapes, Value, dtype_named
from portgrad.engine.batches import AS_IS, EACH, EXAMPLE, Dims, Reading
from portgrad.engine.cache import Memo
from portgrad.engine.examples import Layout
from portgrad.engine.execution import Arrays, Execution, Made, Values
from portgrad.engine.finding import Finder, Sessions
from portgrad.engine.foreseen import check_found
from portgrad.engine.limits import Limits
from portgrad.engine.one_example import for_one, is_one
from portgrad.engine.plan import Compiled, Plan, Results
from portgrad.engine.weights import Weights
from portgrad.errors import RunFailed
from portgrad.graph.batching import Axes, Batched, apart
from portgrad.graph.cutting import cut
from portgrad.graph.names import Names
from portgrad.graph.searching import PAUSED
from portgrad.graph.types import shape_of, type_name

Ports: TypeAlias = frozenset[str]
_NO_PORTS: Ports = frozenset()
_FINDERS = 16  # plans of which it is known where their sessions are


def _of_session(plan: Plan, over: Ports = _NO_PORTS, *, one: bool = False) -> tuple[Any, ...]:
    """What tells a session from the others of a variant."""
    return ("session", over, plan.key, one)


class Executor:
    """Runs plans on one variant of a net; safe to use from several threads.

    Args:
        key: the net's id, and its variant.
        model: the normalised net.
        names: its names.
        weights: its weights.
        seed: the input that all that it draws depends on, if it draws.
        meet: whether its examples meet in the statistics of their batch.
        warnings: what the user of each call should know.
        sessions: where compiled plans are kept.
        threads: threads for each run.
        limits: how much may be computed before and during a run.
    """

    def __init__(
        self,
        key: tuple[Any, ...],
        model: ir.Model,
        names: Names,
        *,
        weights: Weights,
        seed: str | None,
        meet: bool,
        warnings: tuple[str, ...],
        sessions: Sessions,
        threads: int,
        limits: Limits,
    ) -> None:
        self._key = key
        self._model = model
        self._names = names
        self._weights = weights
        self._seed = seed
        self._meet = meet
        self.warnings = warnings
        self._sessions = sessions
        self._threads = threads
        self._limits = limits
        self._finders: Memo[str, Finder] = Memo(_FINDERS)
        self.ports = {name: shape_of(value) for name, value in names.inputs.items()}

    @property
    def names(self) -> Names:
        """What users call its values."""
        return self._names

    @property
    def draws(self) -> bool:
        """Whether it draws at random."""
        return self._seed is not None

    @property
    def model(self) -> ir.Model:
        """The normalised net; it is not to be changed."""
        return self._model

    @cached_property
    def _for_one(self) -> ir.Model | None:
        return for_one(self._model)

    def execute(
        self,
        plan: Plan,
        data: Values,
        imposed: Arrays,
        batch: str | None = None,
        reading: Reading | None = None,
    ) -> Execution:
        """Run a plan.

        Args:
            plan: what is computed.
            data: an array for each input port, and what else the variant of the net reads.
            imposed: arrays by `seed/NAME` and `tangent/NAME`.
            batch: the reading to force; by default the first that fits.
            reading: the reading, where it is known already.
        """
        known = None
        if reading is None and batch is None:
            known = self.finder(plan).find({**data, **imposed})
        if known is not None:
            compiled, shapes, reading = known
            call = Execution(plan, data, imposed, reading)
            call.warnings = self.warnings + compiled.warnings
            call.results = self.run(call, compiled, data, imposed, shapes)
            return call
        call = Execution(plan, data, imposed, reading or self.reading(plan, data, batch))
        stacks = {feed: array for feed, array in imposed.items() if plan.stacks(feed)}
        none = plan.stacked and not any(len(array) for array in stacks.values())
        if none:  # a stack of one tells shapes and dtypes
            call.imposed = {f: np.zeros_like(a, shape=(1, *a.shape[1:])) if f in stacks else a
                            for f, a in imposed.items()}  # fmt: skip
        self._read(call)
        if none:
            empty = {name: array[:0] for name, array in call.results.derivatives.items()}
            call.results = replace(call.results, derivatives=empty)
        return call

    def finder(self, plan: Plan) -> Finder:
        """What finds the sessions of a plan that runs as it is."""
        found = self._finders.get(plan.key)
        if found is None:
            keys = ((*self._key, *_of_session(plan, one=one)) for one in (True, False))
            found = Finder(self._sessions, *keys)
            self._finders.keep(plan.key, found)
        return found

    def _read(self, call: Execution) -> None:
        if call.reading.kind == AS_IS:
            ways.as_is(self, call)
        elif call.reading.kind == EXAMPLE:
            ways.as_example(self, call)
        elif call.reading.count == 0 or not ways.as_one_batch(self, call):
            ways.one_by_one(self, call)

    def reading(self, plan: Plan, data: Values, batch: str | None) -> Reading:
        """How the arrays of a call are read; with its examples, where they must be kept apart."""
        reading = batches.read(self.ports, data, batch)
        if not plan.apart or reading.kind != AS_IS:
            return reading
        examples = self.examples(reading, plan.of, data)
        if examples is None:
            raise inseparable.no_examples(plan.of)
        return examples

    def examples(self, reading: Reading, of: Sequence[str], data: Values) -> Reading | None:
        """A reading as it is, with the ports that carry its examples; None where none do.

        These are the ports that a symbol leads which all that is summed has in its shape or, where
        a shape is not known, is proven to have examples along.
        """
        candidates = batches.leading(self.ports, reading)
        for symbol, found in candidates.items():
            if all(symbol in (self.dims(name) or ()) for name in of):
                return found
        for found in candidates.values():
            if all(self._proven_axis(name, found.batched) is not None for name in of):
                return found
        # A leading 1 beside an open size may be anything: there it takes a proof.
        each = batches.attempt(EACH, self.ports, data)
        if each is None or not candidates:
            return each
        proven = all(self._proven_axis(name, each.batched) is not None for name in of)
        return each if proven else None

    def _proven_axis(self, name: str, over: Ports) -> int | None:
        variant = self.variant(Plan(of=(name,)), over)
        return None if variant is None else variant.axis.get(name)

    def seen(self, name: str, data: Values, reading: Reading) -> tuple[tuple[int, ...], int | None]:
        """The shape of a value as the caller of these data sees it, and its example axis."""
        dims, axis = self.foreseen(name, reading)
        if dims is not None and None not in dims:
            return dims, axis  # type: ignore[return-value]
        done = self.execute(Plan(outputs=(name,)), data, {}, reading=reading)
        return done.results.outputs[name].shape, axis

    def axis(self, name: str, reading: Reading) -> int | None:
        """The axis of a value, as its caller sees it, along which examples lie."""
        return self.foreseen(name, reading)[1]

    def shared(self, name: str, reading: Reading) -> bool:
        """Whether all examples of a reading share a value, so that its gradient is their total."""
        layout = self.layout(reading)
        if not layout.own(name):
            return True
        if reading.kind != AS_IS or not reading.batched or layout.axis(name) is not None:
            return False
        variant = self.variant(Plan(of=(name,)), reading.batched)
        return variant is not None and not variant.axis.has(name)

    def foreseen(self, name: str, reading: Reading) -> tuple[Dims | None, int | None]:
        """The same as far as it is known before a run."""
        dims, layout = self.dims(name), self.layout(reading)
        shape, led = seeds.sized(dims, reading.sizes), layout.led(name)
        if not layout.own(name):
            return shape, None
        if reading.kind == EACH:
            alone = not layout.concatenated(name)
            return None if shape is None else seeds.of_batch(shape, reading.count, alone), 0
        if reading.kind == EXAMPLE:
            return (shape[1:] if shape and led else shape), None
        if not reading.batched:
            return shape, None
        axis = layout.axis(name)
        return shape, self._proven_axis(name, reading.batched) if axis is None else axis

    def dtype(self, name: str) -> np.dtype[Any]:
        """The dtype of a value."""
        return dtype_named(type_name(self._names.resolve(name, name).type))

    def dims(self, name: str) -> Dims | None:
        """The declared or inferred shape of a value."""
        return shape_of(self._names.resolve(name, name))

    def shapes(self, call: Execution, names: Iterable[str]) -> dict[str, Dims | None]:
        """Shapes with the sizes of a call in place of symbols."""
        return {name: seeds.sized(self.dims(name), call.reading.sizes) for name in names}

    def layout(self, reading: Reading, axes: Axes | None = None) -> Layout:
        """Where the examples of a reading are."""
        parameters = self._names.parameters.keys()
        return Layout(self.ports, reading, parameters, self._names.shape, axes)

    def example(self, layout: Layout, data: Values, index: int) -> dict[str, Value]:
        """The data of one example, which draws by a seed of its own.

        Raises:
            InvalidRequest: `statistics_of_one`: alone, it would be its own batch.
        """
        if self._meet:
            raise inseparable.statistics_of_one()
        one = layout.example(data, index)
        if self._seed is not None:
            seed = seed_of_example(int(np.asarray(data[self._seed])), index)
            one[self._seed] = np.asarray(seed, np.int64)
        return one

    def compiled(self, plan: Plan, over: Ports = _NO_PORTS, *, one: bool = False) -> Compiled:
        """A plan's session.

        Args:
            plan: what is computed.
            over: the ports that carry examples, proven to keep apart.
            one: whether it is for one example alone; then a small net's is another.

        Raises:
            NotApart: a rule cannot keep the gradients of the examples apart.
        """
        variant = self.variant(plan, over) if over else None
        alone = self._for_one if one else None
        model = alone or (self._model if variant is None else variant.model)
        axes = variant.axis if variant is not None and plan.keeps_apart else None

        def make() -> Compiled | str:
            try:
                with PAUSED:
                    held = self._weights, self._threads, axes, self._limits
                    return plan.compile(model, *held, one=alone is not None)
            except NotApart as reason:  # to be known, not to be found again
                return str(reason)

        found = self._kept(_of_session(plan, over, one=alone is not None), make)
        if isinstance(found, str):
            raise NotApart(found)
        return found

    def once(self, plan: Plan) -> Compiled:
        """A plan's session, which is not kept."""
        return plan.compile(self._model, self._weights, self._threads, limits=self._limits)

    def variant(self, plan: Plan, over: Ports) -> Batched | None:
        """The net with any number of examples at some ports, where they are proven not to meet.

        Where they meet somewhere, what the plan asks for may come before that.
        """
        whole = self._whole(over)
        if whole is not None:
            return whole
        ends = frozenset((*plan.of, *plan.outputs, *plan.wrt, *plan.tangents))
        return self._kept(("apart", over, ends), lambda: apart(cut(self._model, ends), over))

    def draws_by_example(self, over: Ports) -> bool:
        """Whether each example draws by a seed of its own.

        It does in every call or in none, whatever is asked for: the same seed draws the same.
        """
        return self.draws and self._whole(over) is None

    def _whole(self, over: Ports) -> Batched | None:
        return self._kept(("apart", over), lambda: apart(self._model, over))

    def compile(self, call: Execution, over: Ports = _NO_PORTS) -> Compiled:
        """The session of a call's plan."""
        one = not over and is_one(call.reading)
        compiled = call.timed("compile", lambda: self.compiled(call.plan, over, one=one))
        call.warnings = (*self.warnings, *compiled.warnings)
        return compiled

    def compile_apart(self, call: Execution, over: Ports) -> Compiled | None:
        """The same over examples, None where a rule cannot keep their gradients apart.

        Raises:
            NotBuilt: then the examples would run one by one, and draw otherwise than together.
        """
        try:
            return self.compile(call, over)
        except NotApart as error:
            if self.draws:
                raise inseparable.draws_together(str(error)) from error
            return None

    def run(
        self,
        call: Execution,
        compiled: Compiled,
        data: Values,
        ready: Arrays,
        shapes: Shapes | None = None,
    ) -> Results:
        """Run once."""
        try:
            return call.timed("run", lambda: compiled.run(data, ready, shapes))
        except RunFailed:
            if compiled.one:  # the graph for any sizes has more of the net's own nodes to name
                return self.run(call, self.compiled(compiled.plan), data, ready, shapes)
            if ready:
                self._refuse_wrong_seeds(call.plan, data, ready)
            raise

    def check_found(self, plan: Plan, first: Results, count: int) -> None:
        """Refuse an answer that would be too large, after the first of its examples.

        Totals over the examples do not grow.

        Raises:
            LimitExceeded: `answer_too_large`.
        """
        own = {
            n: a
            for n, a in first.derivatives.items()
            if plan.apart or n not in self._names.parameters
        }
        check_found([*own.values(), *first.outputs.values()], self._limits, count)

    def _kept(self, key: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        found: Made = self._sessions.get((*self._key, *key), make)
        return found

    def _refuse_wrong_seeds(self, plan: Plan, data: Values, ready: Arrays) -> None:
        """Where the run failed, see whether an imposed array of a shape known only now is why."""
        given = {n: a for n, a in ready.items() if seeds.value_of(n) not in self._names.inputs}
        values = tuple(dict.fromkeys(map(seeds.value_of, given)))
        values = tuple(name for name in values if name not in self._names.parameters)
        outputs = self.compiled(Plan(outputs=values)).run(data, {}).outputs if values else {}
        for feed, array in given.items():
            value = outputs.get(seeds.value_of(feed))
            if value is not None:
                exact = plan.stacks(feed) or feed.startswith(TANGENT)
                height = len(array) if plan.stacks(feed) else None
                one = array if height is None else array[0]
                seeds.checked(one, value.shape, feed, exact=exact, height=height)
