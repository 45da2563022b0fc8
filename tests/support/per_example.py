"""Whether gradients for each example, from one run, are those of a run for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from portgrad.autodiff import gradient_graph
from portgrad.autodiff.tensor import may_carry
from portgrad.graph.batching import Batched, apart
from support.batches import Array, draw, loaded

Arrays = Mapping[str, Array]

# float32: the terms of a sum come in another order in a batch.
CLOSE = 1e-5
EXAMPLES = 3


def net_of(text: str, *opsets: int) -> ir.Model:
    """A net from ONNX text (see `loaded`), whose floating inputs not called x… are parameters."""
    model = loaded(text, *opsets)
    rng = np.random.default_rng(5)
    for port in list(model.graph.inputs):
        if may_carry(port) and not str(port.name).startswith("x"):
            model.graph.inputs.remove(port)
            port.const_value = ir.Tensor(draw(port, rng), name=port.name)
            model.graph.register_initializer(port)
    return model


def shared_by_all(model: ir.Model, found: Batched) -> list[str]:
    """The floating parameters and ports that all examples share."""
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    return [str(v.name) for v in values if may_carry(v) and v.name not in found.axis]


def assert_each_is_single(
    model: ir.Model,
    wrt: Sequence[str] | None = None,
    data: Arrays | None = None,
    *,
    ports: Sequence[str] | None = None,
    close: float = CLOSE,
    total: bool = True,
) -> set[str]:
    """The gradients of what is shared, for each example, are those of single runs.

    Args:
        model: a normalised net.
        wrt: targets; all shared parameters and ports where None.
        data: of the ports, the batch on axis 0 of those that carry it; random where None.
        ports: those that carry the batch; those called x… where None.
        close: what is allowed beside the largest element.
        total: whether their sum is compared with the gradient for the whole batch too.

    Returns:
        The operators of the compiled graph.
    """
    names = [str(value.name) for value in model.graph.inputs]
    batched = list(ports or (name for name in names if name.startswith("x")))
    found = apart(model, batched)
    assert found is not None
    targets = list(wrt or shared_by_all(model, found))
    of = [str(v.name) for v in model.graph.outputs if may_carry(v) and v.name in found.axis]
    each = gradient_graph(found.model, wrt=targets, of=of, seeds=of, apart=found.axis).model
    alone = gradient_graph(model, wrt=targets, of=of, seeds=of, outputs=of).model
    feeds = dict(data or drawn(model, batched))
    singles = [
        {n: x[i : i + 1] if n in batched else x for n, x in feeds.items()} for i in range(EXAMPLES)
    ]
    seeds = _seeds(model, of, singles)
    expected = [run(alone, {**x, **s}) for x, s in zip(singles, seeds, strict=True)]
    whole = {
        name: np.concatenate([seed[name] for seed in seeds], found.axis[name.removeprefix("seed/")])
        for name in seeds[0]
    }
    got = run(each, {**feeds, **whole})
    for name in (f"grad/{target}" for target in targets):
        compare(name, got[name], np.stack([single[name] for single in expected]), close)
    if total:
        summed = gradient_graph(found.model, wrt=targets, of=of, seeds=of).model
        for name, array in run(summed, {**feeds, **whole}).items():
            compare(name, got[name].sum(0), array, close)
    return {node.op_type for node in each.graph}


def drawn(model: ir.Model, batched: Sequence[str]) -> dict[str, Array]:
    """Random data for the ports, three examples of those that carry the batch."""
    rng = np.random.default_rng(9)
    feeds = {}
    for port in model.graph.inputs:
        carries = port.name in batched
        parts = [draw(port, rng) for _ in range(EXAMPLES if carries else 1)]
        feeds[str(port.name)] = np.concatenate([p[:1] for p in parts]) if carries else parts[0]
    return feeds


def _seeds(model: ir.Model, of: Sequence[str], singles: Sequence[Arrays]) -> list[dict[str, Array]]:
    rng = np.random.default_rng(7)
    shapes = [{n: y.shape for n, y in run(model, x).items() if n in of} for x in singles]
    dtypes = {str(v.name): v.dtype.numpy() for v in model.graph.outputs if v.dtype is not None}
    return [
        {f"seed/{n}": rng.standard_normal(shape).astype(dtypes[n]) for n, shape in example.items()}
        for example in shapes
    ]


def compare(name: str, got: Array, expected: Array, close: float) -> None:
    """Equal but for rounding."""
    assert got.shape == expected.shape, name
    assert got.dtype == expected.dtype, name
    finite = expected[np.isfinite(expected)]
    size = max(float(np.abs(finite).max(initial=0.0)), 1.0)
    np.testing.assert_allclose(got, expected, rtol=close, atol=close * size, err_msg=name)


def run(model: ir.Model, feeds: Arrays) -> dict[str, Array]:
    """A model's outputs, on onnxruntime as it is written."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    read = {port.name for port in session.get_inputs()}
    names = [output.name for output in session.get_outputs()]
    given = {name: array for name, array in feeds.items() if name in read}
    return dict(zip(names, session.run(names, given), strict=True))
