"""onnxruntime sessions over a net's graphs. The weights are held once and handed to each session.

Graphs are serialised without their larger initializers, which each session gets from the net's
own buffers (`add_external_initializers`). `add_initializer` would share more, but the runtime's
transpose optimizer then runs on a weight that it believes it has transposed: see
docs/decisions/0003-shared-weights.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from portgrad.autodiff.nesting import with_inner
from portgrad.autodiff.randomness import say_batch_statistics
from portgrad.engine import (
    arena,
    channels,
    doubles,
    folding,
    kernels,
    packing,
    packing_memory,
    serialising,
    stopping,
)
from portgrad.engine.arrays import Array, Value
from portgrad.engine.failures import for_memory, not_runnable, run_failed
from portgrad.engine.foreseen import Foreseen, check_found
from portgrad.engine.limits import LIMITS, Limits
from portgrad.engine.ordering import results_early
from portgrad.errors import RunFailed

# Smaller initializers travel inside the graph: the runtime folds and fuses them anyway.
INLINE_BYTES = 1024
_FOLDING = "ConstantFolding"
_SHARED = "session.use_external_initializer_file_buffers_directly"

ort.disable_telemetry_events()
ort.set_default_logger_severity(4)  # the runtime's errors come as exceptions


class Weights:
    """The larger initializers of one net as runtime values, by name."""

    def __init__(self, model: ir.Model) -> None:
        self._values: dict[str, ort.OrtValue] = {}
        for name, value in model.graph.initializers.items():
            tensor = value.const_value
            if tensor is not None and tensor.nbytes > INLINE_BYTES and _numeric(tensor):
                self._values[str(name)] = _ort_value(tensor)

    def detach(self, model: ir.Model) -> list[str]:
        """Replace a graph's larger initializers by references to these; their names."""
        detached = []
        for name, value in model.graph.initializers.items():
            if name in self._values and value.const_value is not None:
                tensor = value.const_value
                value.const_value = ir.ExternalTensor(
                    "weights",
                    0,
                    tensor.nbytes,
                    tensor.dtype,
                    shape=ir.Shape(tensor.numpy().shape),
                    name=str(name),
                )
                detached.append(str(name))
        return detached

    def values(self, names: Iterable[str]) -> list[ort.OrtValue]:
        """The runtime values of names."""
        return [self._values[name] for name in names]


def _numeric(tensor: ir.TensorProtocol) -> bool:
    return tensor.dtype != ir.DataType.STRING and tensor.dtype.bitwidth >= 8


def _ort_value(tensor: ir.TensorProtocol) -> ort.OrtValue:
    array = np.ascontiguousarray(tensor.numpy())
    if tensor.dtype in _WIDENED:
        return _typed(array, tensor.dtype)
    return ort.OrtValue.ortvalue_from_numpy(array)


def _typed(array: Array, dtype: ir.DataType) -> ort.OrtValue:
    """A runtime value of a dtype that NumPy itself does not have."""
    bits = array.view(f"u{array.itemsize}")
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, int(dtype))


# Dtypes that the runtime cannot hand to NumPy: they leave as float32, which holds each exactly.
_WIDENED = {
    ir.DataType.BFLOAT16,
    ir.DataType.FLOAT8E4M3FN,
    ir.DataType.FLOAT8E4M3FNUZ,
    ir.DataType.FLOAT8E5M2,
    ir.DataType.FLOAT8E5M2FNUZ,
}


class Session:
    """A graph that is ready to run; safe to run from several threads.

    Args:
        model: the graph; its larger initializers are taken out of it.
        weights: the net's weights.
        threads: how many threads one run may use; 0 for all cores.
        limits: how much may be computed before and during a run.
    """

    def __init__(
        self, model: ir.Model, weights: Weights, threads: int, limits: Limits = LIMITS
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        arena.share(options)
        # Fused to integer kernels, a quantised net rounds otherwise than it says, and otherwise
        # than in a gradient graph, which reads the numbers in between.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        self.outputs = tuple(str(value.name) for value in model.graph.outputs)
        say_batch_statistics(model)
        doubles.say(model)
        kernels.widen(model)
        too_much = folding.folds_too_much(model, model.graph.all_nodes(), limits.folded_bytes)
        in_blocks = channels.say(model)
        self._narrow = _widen(model.graph)
        results_early(model.graph)
        nodes = list(with_inner(model.graph))
        name_nodes(nodes)
        self._dies_on_empty = in_blocks or any(map(_dies, nodes))
        self._limits, self._sizes = limits, Foreseen(model, limits)
        left_out = doubles.left_out(nodes)
        if too_much:
            left_out.append(_FOLDING)
        # A plan of the memory of a run is made by the first one, takes time by the square of its
        # steps, and then takes the memory once more.
        options.enable_mem_pattern = False
        packed = packing_memory.pays(model.graph, nodes)
        names = weights.detach(model)
        if not packed or packing.is_in_vain(nodes, set(names)):
            options.add_session_config_entry("session.disable_prepacking", "1")
        self._held = weights.values(names)  # the runtime reads these buffers as long as it lives
        if names:
            options.add_session_config_entry(_SHARED, "1")
            options.add_external_initializers(names, self._held)
        branches = any(node.op_type == "If" for node in nodes)
        try:
            graph = serialising.as_bytes(model)
            with stopping.opening(options):
                self._session = arena.with_memory(
                    lambda: _start(graph, options, left_out, branches)
                )
        except Exception as error:  # the runtime raises many kinds, about memory or the graph
            stopping.options()  # raises where it was given up on purpose
            raise (run_failed if for_memory(error) else not_runnable)(error) from error
        self._inputs = {str(value.name): value.dtype for value in model.graph.inputs}

    def run(self, feeds: Mapping[str, Value]) -> dict[str, Array]:
        """All outputs by name. Feeds that the graph does not read are left out.

        An output that is a sequence comes as a list.

        Raises:
            LimitExceeded: what it computes would be too large.
            RunFailed: the runtime failed on these data.
            DeadlineExceeded: it was stopped.
        """
        self._sizes.check(feeds)
        if self._dies_on_empty and any(_empty(feeds[name]) for name in self._inputs):
            raise _refused_empty()
        given = {name: _feed(feeds[name], dtype) for name, dtype in self._inputs.items()}
        try:
            results = arena.with_memory(lambda: self._session.run(None, given, stopping.options()))
        except Exception as error:
            stopping.options()  # raises where the run was ended on purpose
            raise run_failed(error) from error
        check_found(results, self._limits)
        named = zip(self.outputs, results, strict=True)
        return {n: v.astype(self._narrow[n]) if n in self._narrow else v for n, v in named}


def _start(
    graph: bytes, options: ort.SessionOptions, left_out: list[str], branches: bool
) -> ort.InferenceSession:
    """A session, without some optimizers. Folding a constant condition, the runtime puts a branch
    in the place of its If and may forget a value that only that branch read (seen in 1.32): then
    nothing is folded.
    """
    providers = ["CPUExecutionProvider"]
    try:
        return ort.InferenceSession(
            graph, options, providers=providers, disabled_optimizers=left_out
        )
    except Exception:  # whatever it raises, it raises again if that was not why
        if not branches:
            raise
        return ort.InferenceSession(
            graph,
            options,
            providers=providers,
            disabled_optimizers=[*left_out, _FOLDING],
        )


def _feed(value: Value, dtype: ir.DataType | None) -> Value | ort.OrtValue:
    if dtype in _WIDENED and isinstance(value, np.ndarray):
        return _typed(value, dtype)
    return value


# Kernels that end the whole process on an operand without elements (seen in 1.32).
_DIE_ON_EMPTY = {"Einsum", "GRU", "LSTM", "RNN"}


def _dies(node: ir.Node) -> bool:
    volumes = node.op_type == "ConvTranspose" and len(_dims(node.inputs[0])) not in (3, 4)
    return volumes or node.op_type in _DIE_ON_EMPTY


def _dims(value: ir.Value | None) -> tuple[object, ...]:
    return () if value is None or value.shape is None else value.shape.dims


def _empty(value: Value) -> bool:
    return isinstance(value, np.ndarray) and value.size == 0


def _refused_empty() -> RunFailed:
    return RunFailed(
        "The runtime cannot run some operators of this net on empty arrays: recurrent ones, "
        "Einsum, or ConvTranspose over volumes.",
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


def _widen(graph: ir.Graph) -> dict[str, np.dtype[Any]]:
    """Cast outputs of dtypes that cannot leave the runtime; the dtypes they must get back."""
    narrow = {}
    for index, value in enumerate(graph.outputs):
        if value.dtype in _WIDENED and isinstance(value.type, ir.TensorType):
            narrow[str(value.name)] = value.dtype.numpy()
            to = ir.AttrInt64("to", int(ir.DataType.FLOAT))
            cast = ir.Node("", "Cast", [value], [to], num_outputs=1)
            cast.outputs[0].name = f"{value.name}/as-float32"
            cast.outputs[0].dtype, cast.outputs[0].shape = ir.DataType.FLOAT, value.shape
            graph.append(cast)
            graph.outputs[index] = cast.outputs[0]
    return narrow
