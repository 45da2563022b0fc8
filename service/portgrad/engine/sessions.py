"""onnxruntime sessions over a net's graphs, with what is checked before and after each run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from portgrad.autodiff.nesting import with_inner
from portgrad.engine import ahead, arena, folding, packing, packing_memory, serialising, stopping
from portgrad.engine.alive import Alive
from portgrad.engine.arrays import Array, Shapes, Value, shapes_of
from portgrad.engine.cache import Memo
from portgrad.engine.failures import for_memory, run_failed
from portgrad.engine.foreseen import Foreseen, check_found, takes_little
from portgrad.engine.limits import LIMITS, Limits
from portgrad.engine.opening import FOLDING, opened, options_for, telling
from portgrad.engine.rewrites import (
    FOR_TIME_AND_MEMORY,
    IN_THE_RUNTIMES_WORDS,
    channels,
    doubles,
    masking,
    unfolded,
)
from portgrad.engine.weights import WIDENED, Weights, typed
from portgrad.errors import RunFailed

# Of so many combinations of shapes it is known that they fit, and what comes out.
KNOWN_SHAPES = 16

ort.disable_telemetry_events()
ort.set_default_logger_severity(4)  # the runtime's errors come as exceptions


# Looks at feeds by name and outputs in their order, and raises.
Check = Callable[[Mapping[str, Value], Sequence[Array]], None]


def _nothing_more(_feeds: Mapping[str, Value], _found: Sequence[Array]) -> None: ...


class Session:
    """A graph that is ready to run; safe to run from several threads.

    Args:
        model: the graph; its larger initializers are taken out of it.
        weights: the net's weights.
        threads: how many threads one run may use; 0 for all cores.
        limits: how much may be computed before and during a run.

    Attributes:
        sized: whether the shapes of what is fed decide all others, whatever the data.
    """

    sized = False

    def __init__(
        self, model: ir.Model, weights: Weights, threads: int, limits: Limits = LIMITS
    ) -> None:
        for say in IN_THE_RUNTIMES_WORDS:
            say(model)
        too_much = folding.folds_too_much(model, with_inner(model.graph), limits.folded_bytes)
        masking.by_bytes(model.graph)
        in_blocks = channels.say(model)
        if in_blocks and not too_much:
            with telling():
                weights = weights.joined(ahead.lay_out(model, weights, threads))
        self._narrow = _widen(model.graph)
        self._outputs = [str(value.name) for value in model.graph.outputs]
        for change in FOR_TIME_AND_MEMORY:
            change(model.graph)
        nodes = list(with_inner(model.graph))
        name_nodes(nodes)
        self._dies_on_empty = in_blocks or any(map(_dies, nodes))
        self._limits, self._sizes = limits, Foreseen(model, limits)
        self._threads = threads
        left_out = doubles.left_out(nodes)
        if too_much:
            left_out.append(FOLDING)
        little = takes_little(model.graph)
        options = options_for(threads, reuse=little)
        packed = packing_memory.pays(model.graph, nodes)
        self._held = weights.lend(model, options)
        if not packed or packing.is_in_vain(nodes, self._held):
            options.add_session_config_entry("session.disable_prepacking", "1")
        self._inputs = {str(value.name): value.dtype for value in model.graph.inputs}
        if little:
            unfolded.keep_ones(model.graph)
        branches = any(node.op_type == "If" for node in nodes)
        with telling():
            graph = serialising.as_bytes(model)
            self._alive, self._room = Alive(model.graph, graph), 0
            self._session = opened(graph, options, left_out, branches=branches)
        # What the runtime's Python looks at before it runs is right here, and takes a microsecond.
        self._run = getattr(self._session, "_sess", self._session).run
        self._converts = not WIDENED.isdisjoint(self._inputs.values())
        self._known: Memo[Shapes, list[tuple[int, ...]]] = Memo(KNOWN_SHAPES)

    def run(
        self,
        feeds: Mapping[str, Value],
        check: Check = _nothing_more,
        shapes: Shapes | None = None,
    ) -> list[Array]:
        """All outputs in their order. Feeds that the graph does not read are left out.

        An output that is a sequence comes as a list. What shapes alone decide is not looked at
        again where the same shapes went in, and came out, before.

        Args:
            feeds: an array for each input, and others.
            check: what else is to hold of the shapes of feeds and outputs; it raises.
            shapes: those of the feeds, where they are known.

        Raises:
            LimitExceeded: what it computes would be too large.
            RunFailed: the runtime failed on these data.
            DeadlineExceeded: it was stopped.
        """
        shapes = shapes or shapes_of(feeds)
        expected = self._known.get(shapes)
        if expected is None:
            self._check_fed(feeds)
        given: Mapping[str, Any] = feeds
        if len(feeds) > len(self._inputs):
            given = {name: feeds[name] for name in self._inputs}
        if self._converts:
            given = {name: _feed(value, self._inputs[name]) for name, value in given.items()}
        try:
            if self._room:
                arena.make_room(self._room, self._threads)
            results: list[Array] = self._run(self._outputs, given, stopping.options())
        except Exception as error:
            results = self._once_more(given, error)
        if expected is None or not (self.sized or _shapes(results) == expected):
            check_found(results, self._limits)
            check(feeds, results)
            came = _shapes(results)
            if shapes is not None and came is not None:
                self._known.keep(shapes, came)
        for index, dtype in self._narrow.items():
            results[index] = results[index].astype(dtype)
        return results

    def _check_fed(self, feeds: Mapping[str, Value]) -> None:
        self._sizes.check(feeds)
        self._room = self._alive.room(feeds, self._sizes.sizes(feeds))
        if self._dies_on_empty and any(_empty(feeds[name]) for name in self._inputs):
            raise _refused_empty()

    def _once_more(self, given: Mapping[str, Any], error: Exception) -> list[Array]:
        """The outputs of a run that failed, where it had too little memory for what others left."""
        stopping.options()  # raises where the run was ended on purpose
        if not for_memory(error):
            raise run_failed(error) from error
        try:
            arena.give_back()
            results: list[Array] = self._run(self._outputs, given, stopping.options())
        except Exception as again:
            stopping.options()
            raise run_failed(again) from again
        return results


def _feed(value: Value, dtype: ir.DataType | None) -> Value | ort.OrtValue:
    if dtype in WIDENED and isinstance(value, np.ndarray):
        return typed(value, dtype)
    return value


# Kernels that end the whole process on an operand without elements (seen in 1.32).
_DIE_ON_EMPTY = {"Einsum", "GRU", "LSTM", "RNN"}


def _dies(node: ir.Node) -> bool:
    volumes = node.op_type == "ConvTranspose" and len(_dims(node.inputs[0])) not in (3, 4)
    return volumes or node.op_type in _DIE_ON_EMPTY


def _dims(value: ir.Value | None) -> tuple[object, ...]:
    return () if value is None or value.shape is None else value.shape.dims


def _shapes(results: list[Array]) -> list[tuple[int, ...]] | None:
    """The shapes of outputs; None where one is a sequence, or an optional without a value."""
    try:
        return [array.shape for array in results]
    except AttributeError:
        return None


def _empty(value: Value) -> bool:
    return isinstance(value, np.ndarray) and value.size == 0


def _refused_empty() -> RunFailed:
    return RunFailed(
        "The runtime cannot run some operators of this net on empty arrays: recurrent ones, "
        "Einsum, ConvTranspose over volumes, or convolutions in a gradient.",
        code="empty_array",
        expected="at least one example",
        remedy="Leave the call out: the answer would be empty.",
    )


def name_nodes(nodes: Iterable[ir.Node]) -> None:
    """Names for the runtime's messages, which it wants to be unique, unlike ONNX."""
    seen: set[str] = set()
    for node in nodes:
        names = (node.name, *(value.name for value in node.outputs))
        node.name = next((name for name in names if name and name not in seen), None)
        seen.add(node.name or "")


def _widen(graph: ir.Graph) -> dict[int, np.dtype[Any]]:
    """Cast outputs of dtypes that cannot leave the runtime; the dtypes they must get back."""
    narrow = {}
    for index, value in enumerate(graph.outputs):
        if value.dtype in WIDENED and isinstance(value.type, ir.TensorType):
            narrow[index] = value.dtype.numpy()
            to = ir.AttrInt64("to", int(ir.DataType.FLOAT))
            cast = ir.Node("", "Cast", [value], [to], num_outputs=1)
            cast.outputs[0].name = f"{value.name}/as-float32"
            cast.outputs[0].dtype, cast.outputs[0].shape = ir.DataType.FLOAT, value.shape
            graph.append(cast)
            graph.outputs[index] = cast.outputs[0]
    return narrow
