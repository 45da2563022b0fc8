"""The sound nets that mutants are made of: small, and of everything that a net can hold."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from portgrad.samples import samples
from rules.rows import families
from support.engine import net_bytes
from support.rig import Row

DATA = Path(__file__).parents[1] / "data"
# Larger ones are slow to load, and have little that the smaller ones do not.
LARGEST = 20_000


@dataclass(frozen=True)
class Base:
    """A sound net.

    Attributes:
        name: what it is.
        model: the model file.
        external: its external data by location.
    """

    name: str
    model: bytes
    external: dict[str, bytes] = field(default_factory=dict)


WRITTEN = {
    "loop": """(float[n] x, int64 trips) => (float[n] y, float[t, n] all) {
        keep = Constant<value = bool {1}>()
        y, all = Loop(trips, keep, x) <body = body (int64 i, bool c, float[n] s)
            => (bool d, float[n] r, float[n] o) { d = Identity(c) r = Sin(s) o = Mul(r, s) }>
    }""",
    "growing": """(float[n] x) => (float[m] y) {
        trips = Constant<value = int64 {3}>()
        y = Loop(trips, , x) <body = body (int64 i, bool c, float[k] s)
            => (bool d, float[l] r) { d = Identity(c) r = Concat<axis = 0>(s, s) }>
    }""",
    "scan": """(float[2] h, float[t, 2] xs) => (float[2] last, float[t, 2] all) {
        last, all = Scan<num_scan_inputs = 1, body = body (float[2] s, float[2] x)
            => (float[2] r, float[2] o) { m = Mul(s, x) r = Tanh(m) o = Add(r, x) }>(h, xs)
    }""",
    "if": """(float[n] x) => (float[n] y) {
        zero = Constant<value = float {0.0}>() sum = ReduceSum<keepdims = 0>(x)
        positive = Greater(sum, zero)
        y = If(positive) <then_branch = yes () => (float[n] a) { a = Exp(x) },
                          else_branch = no () => (float[n] b) { b = If(positive) <
                              then_branch = inner () => (float[n] c) { c = Neg(x) },
                              else_branch = other () => (float[n] d) { d = Relu(x) }> }>
    }""",
    "sequence": """(float[4, n] x) => (float[m, n] y) {
        parts = SplitToSequence<axis = 0>(x) one = Constant<value = int64 {1}>()
        first = SequenceAt(parts, one) more = SequenceInsert(parts, first)
        mapped = SequenceMap(more) <body = body (float[1, n] e)
            => (float[1, n] f) { f = Mul(e, e) }>
        y = ConcatFromSequence<axis = 0>(mapped)
    }""",
    "shapes": """(float[n, 3, 4] x) => (float[a, b] y) {
        shape = Shape(x) i = Constant<value = int64 {0}>() n = Gather(shape, i)
        axes = Constant<value = int64[1] {0}>() count = Unsqueeze(n, axes)
        rest = Constant<value = int64[1] {-1}>() target = Concat<axis = 0>(count, rest)
        flat = Reshape(x, target) step = Constant<value = int64 {1}>()
        range = Range(i, n, step) columns = Constant<value = int64[1] {12}>()
        wide = ConstantOfShape<value = float[1] {2.0}>(columns)
        z = Mul(flat, wide) y = Gather<axis = 0>(z, range)
    }""",
    "memory": """(float[1, 2, 4, 4] x) => (float[a, b, c, d] y) {
        sizes = Constant<value = int64[4] {1, 2, 8, 8}>() none = Constant<value = float[0] {}>()
        large = Resize<mode = "linear">(x, none, none, sizes)
        pads = Constant<value = int64[8] {0, 0, 1, 1, 0, 0, 1, 1}>() padded = Pad(large, pads)
        twice = Constant<value = int64[4] {1, 1, 2, 1}>() tiled = Tile(padded, twice)
        shape = Constant<value = int64[4] {3, 2, 20, 10}>() y = Expand(tiled, shape)
    }""",
    "hot": """(float[n] x, int64[n] k) => (float[n, d] y, int64[2, m] at) {
        depth = Constant<value = int64 {5}>() values = Constant<value = float[2] {0.5, 2.0}>()
        hot = OneHot(k, depth, values) axes = Constant<value = int64[1] {1}>()
        column = Unsqueeze(x, axes) y = Mul(hot, column) at = NonZero(y)
    }""",
    "random": """(float[n, 3] x) => (float[n, 3] y) {
        r = RandomNormalLike(x) ratio = Constant<value = float {0.5}>()
        train = Constant<value = bool {1}>() d, mask = Dropout(r, ratio, train) y = Mul(d, x)
    }""",
    "codes": """(float[n, 4] x) => (float[n, 4] y) {
        s = Constant<value = float {0.1}>() z = Constant<value = uint8 {128}>()
        q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)
    }""",
}  # fmt: skip


def _functions() -> bytes:
    text = """<ir_version: 10, opset_import: ["" : 21, "own" : 1]>
        net (float[n] x) => (float[n] y) { a = own.twice<k = 2.0>(x) y = own.outer(a) }
        <domain: "own", opset_import: ["" : 21]> twice <k> (v) => (w)
            { c = Constant<value_float: float = @k>() w = Mul(v, c) }
        <domain: "own", opset_import: ["" : 21, "own" : 1]> outer (v) => (w)
            { b = own.twice<k = 3.0>(v) w = Sin(b) }"""
    return bytes(onnx.parser.parse_model(text).SerializeToString())


def _weighted(location: str | None) -> onnx.ModelProto:
    weight = np.random.default_rng(5).standard_normal((4, 3)).astype(np.float32)
    body = "(float[n, 4] x) => (float[n, 3] y) { y = MatMul(x, w) }"
    model = onnx.load_from_string(net_bytes(body, {"w": weight}))
    if location is not None:
        tensor = model.graph.initializer[0]
        entries = {"location": location, "offset": "16", "length": str(weight.nbytes)}
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
    return model


def _external() -> Base:
    weight = _weighted(None).graph.initializer[0].raw_data
    model = _weighted("weights.bin").SerializeToString()
    return Base("external", model, {"weights.bin": bytes(16) + weight})


def _sparse() -> bytes:
    model = onnx.load_from_string(net_bytes("(float[3, 4] x) => (float[3, 4] y) { y = Mul(x, s) }"))
    values = numpy_helper.from_array(np.array([1, 2], np.float32), "s")
    places = numpy_helper.from_array(np.array([1, 7], np.int64), "s_indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3, 4]))
    return bytes(model.SerializeToString())


def _row(row: Row) -> bytes:
    """A row with every operand but its first held in the file, where mutations reach it."""
    arrays = row.arrays(np.float32)
    kept = [name for name in arrays if name != next(iter(arrays))]
    model = row.model(np.float32)
    held = {tensor.name for tensor in model.graph.initializer}
    for port in [port for port in model.graph.input if port.name in kept]:
        model.graph.input.remove(port)
    model.graph.initializer.extend(
        numpy_helper.from_array(arrays[name], name) for name in kept if name not in held
    )
    return bytes(model.SerializeToString())


@functools.cache
def whole() -> tuple[Base, ...]:
    """Nets of several nodes."""
    return tuple(_whole())


def _whole() -> Iterator[Base]:
    yield from (Base(name, model) for name, model in sorted(samples().items()))
    yield from (Base(name, net_bytes(text)) for name, text in WRITTEN.items())
    made: dict[str, Callable[[], bytes]] = {"functions": _functions, "sparse": _sparse}
    yield from (Base(name, make()) for name, make in made.items())
    yield _external()
    for path in sorted(DATA.glob("*/**/*.onnx")):
        if path.stat().st_size <= LARGEST:
            yield Base(f"{path.parent.name}/{path.stem}", path.read_bytes())


@functools.cache
def rows() -> tuple[Row, ...]:
    """Single operators: the rows of the rule table, small ones."""
    found = (row for family in families().values() for row in family)
    return tuple(row for row in found if sum(x.size for x in row.inputs if x is not None) < 2000)


def row(index: int) -> Base:
    """One of `rows` as a net."""
    chosen = rows()[index]
    return Base(str(chosen), _row(chosen))
