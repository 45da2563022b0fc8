"""How each operator is called in a random net: as one of its rows in the rule table.

A row says which operands fit together. `Call` adds what a random net needs to know: the forward
pass on its own, how far operands may move, and whether they may be anything at all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from rules.test_rule_table import SMOOTH
from support.double import Arrays, runner
from support.rig import Case, Row, case

LARGEST = 1e3  # of a value that others are computed from, so that products stay finite
_AMPLITUDES = (1.0, 0.3, 0.1, 0.03)


@dataclass(frozen=True)
class Kind:
    """What a net is computed in.

    Attributes:
        name: of the kind.
        dtype: of its floating values.
        engine: what runs the gradient graph, as for `support.double.runner`.
    """

    name: str
    dtype: type
    engine: str


# onnxruntime lacks some double kernels; for those the reference evaluator or float32 steps in.
KINDS = (
    Kind("double", np.float64, "onnxruntime"),
    Kind("reference", np.float64, "reference"),
    Kind("single", np.float32, "onnxruntime"),
)


class Call:
    """One row in one kind of net.

    Args:
        row: the row, in the opset of the net.
        kind: the kind of the net.
    """

    def __init__(self, row: Row, kind: Kind) -> None:
        self.row, self.kind = row, kind
        self._case = case(row, row.dtype)
        self._run: Callable[[Arrays], list[np.ndarray]] = runner(
            self._case.model, engine=row.engine
        )
        model = row.model(kind.dtype)
        self.node, self.imports = model.graph.node[0], list(model.opset_import)

    @property
    def exact(self) -> bool:
        """Whether the forward pass on its own is computed in float64."""
        return self.row.dtype is np.float64

    @functools.cached_property
    def differentiable(self) -> tuple[int, ...]:
        """Positions of the outputs that depend smoothly on the targets."""
        return tuple(self.row.output_names.index(name) for name in self._case.of)

    @functools.cached_property
    def typical(self) -> tuple[int, ...]:
        """Of these, those in the dtype of the net."""
        elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(self.kind.dtype))
        outputs = self.row.model(self.kind.dtype).graph.output
        same = {v.name for v in outputs if v.type.tensor_type.elem_type == elem_type}
        return tuple(i for i in self.differentiable if self.row.output_names[i] in same)

    def run(self, operands: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """The outputs that have a name, floating ones in float64."""
        feeds = {
            f"x{i}": np.asarray(x, self.row.dtype if x.dtype == np.float64 else x.dtype)
            for i, x in enumerate(operands)
            if x is not None and i not in self.row.constants
        }
        return [y.astype(np.float64) if y.dtype.kind == "f" else y for y in self._run(feeds)]

    @functools.cached_property
    def amplitude(self) -> float:
        """How far every element of the targets may move by the rows' values, 0 for not at all."""
        rng = np.random.default_rng(1)
        return next((a for a in _AMPLITUDES if self._stands(a, rng)), 0.0)

    @functools.cached_property
    def takes_anything(self) -> bool:
        """Whether the targets may be any moderate numbers, 0 among them."""
        rng = np.random.default_rng(2)
        drawn = [self._with(lambda x: 3.0 * rng.standard_normal(x.shape)) for _ in range(4)]
        return all(self._fine(x) for x in [*drawn, self._with(np.zeros_like)])

    def _stands(self, amplitude: float, rng: np.random.Generator) -> bool:
        moved = [
            self._with(lambda x: x + amplitude * rng.choice([-1.0, 1.0], x.shape)) for _ in range(4)
        ]
        return all(self._fine(x) for x in moved)

    def _with(self, change: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray | None]:
        targets = self.row.targets
        return [
            np.asarray(change(x)) if x is not None and i in targets else x
            for i, x in enumerate(self.row.inputs)
        ]

    def _fine(self, operands: Sequence[np.ndarray | None]) -> bool:
        try:
            found = self.run(operands)
        except Exception:  # whatever an engine raises out of the domain
            return False
        pairs = zip(found, self.run(self.row.inputs), strict=True)
        return all(y.shape == z.shape for y, z in pairs) and moderate(found)


def moderate(arrays: Sequence[np.ndarray]) -> bool:
    """Whether floating values are finite and of moderate size."""
    return all(np.all(np.abs(y) <= LARGEST) for y in arrays if y.dtype.kind == "f")


def operator(row: Row) -> str:
    """The operator of a row, with its domain where that is not ai.onnx."""
    return f"{row.domain}.{row.op}" if row.domain else row.op


@functools.cache
def operators() -> tuple[str, ...]:
    """The operators that have a row."""
    return tuple(sorted({operator(row) for row in SMOOTH}))


def fitting(row: Row, kind: Kind, opset: int) -> Call | None:
    """A row in a kind of net and an opset, None where that has no kernels or another meaning."""
    if kind.dtype is np.float64 and row.dtype is not np.float64:
        return None  # it has no forward pass in float64
    row = replace(row, opset=opset)
    try:
        made = Call(row, kind)
        load(NetFiles(row.model(kind.dtype).SerializeToString()))
        runs = _agree(case(row, kind.dtype), case(row, row.dtype), kind)
    except Exception:  # a schema, a checker or an engine that does not take it
        return None
    return made if runs else None


def _agree(here: Case, there: Case, kind: Kind) -> bool:
    """Whether a kind's engine computes a row, forward and backward, as the rule table has it."""
    outputs = there.run_forward()
    seeds = there.seeds(outputs)
    want = [*outputs, *there.run_gradient(seeds)]
    graph = here.gradient()
    forward = runner(here.forward(), engine=kind.engine)(here.feeds)
    gradient = runner(graph, engine=kind.engine)(typed(graph, {**here.feeds, **seeds}))
    bound = 1e-9 if kind.dtype is np.float64 else 1e-4
    return all(
        np.allclose(a, b, rtol=bound, atol=bound)
        for a, b in zip([*forward, *gradient], want, strict=True)
    )


def typed(model: onnx.ModelProto, feeds: Arrays) -> Arrays:
    """The feeds in the dtypes of a model's inputs."""
    kinds = {v.name: v.type.tensor_type.elem_type for v in model.graph.input}
    return {n: x.astype(onnx.helper.tensor_dtype_to_np_dtype(kinds[n])) for n, x in feeds.items()}
