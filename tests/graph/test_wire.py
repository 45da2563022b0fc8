"""Large initializers that protobuf does not read: nets and refusals are what they are without."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from google.protobuf.message import DecodeError
from onnx import TensorProto, numpy_helper

from portgrad.errors import PortgradError
from portgrad.graph import bulk, wire
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

LARGE = np.arange(1500, dtype=np.float32)
Edit = Callable[[onnx.ModelProto], object]


def model() -> onnx.ModelProto:
    text = "(float[N,1500] x) => (float[N,1500] y) { z = Mul(x, w) y = Add(z, b) }"
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> net {text}')
    held = [numpy_helper.from_array(LARGE, "w"), numpy_helper.from_array(-LARGE, "b")]
    proto.graph.initializer.extend(held)
    return proto


def field(number: int, content: bytes, kind: int = wire.LENGTH) -> bytes:
    tag = number << 3 | kind
    assert tag < 0x80
    size = len(content)
    return bytes([tag, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) + content


def whole(graph: bytes, more: bytes = b"") -> bytes:
    proto = model()
    proto.ClearField("graph")
    return field(7, graph) + more + proto.SerializeToString()


GRAPH = model().graph.SerializeToString()
REST = model().graph
del REST.initializer[0]
REST = REST.SerializeToString()
W = model().graph.initializer[0].SerializeToString()
OTHER = field(9, LARGE[::-1].tobytes())


def changed(edit: Edit) -> bytes:
    proto = model()
    edit(proto)
    return proto.SerializeToString()


def tensor(edit: Callable[[onnx.TensorProto], object]) -> bytes:
    return changed(lambda proto: edit(proto.graph.initializer[0]))


# What each file is, and how many initializers are cut out of it.
FILES: dict[str, tuple[bytes, int]] = {
    "plain": (model().SerializeToString(), 2),
    "the tensor first": (whole(field(5, W) + REST), 2),
    "numbers longer than they need be": (whole(field(5, b"\x88\x00" + W[1:]) + REST), 2),
    "no graph": (b"\x08\x0a" + b"", 0),
    "the graph in two pieces": (whole(REST, field(7, field(5, W))), 0),
    "a graph of another kind": (whole(GRAPH, b"\x38\x01"), 0),
    "an initializer of another kind": (whole(b"\x28\x01" + GRAPH), 0),
    "data twice": (whole(field(5, W + OTHER) + REST), 1),
    "data of another kind": (whole(field(5, W + b"\x48\x01") + REST), 0),
    "a group": (whole(GRAPH + b"\xfb\x07\xfc\x07"), 0),
    "the end of a group": (whole(GRAPH + b"\xfc\x07"), 0),
    "a field without a number": (whole(GRAPH + b"\x00\x01"), 2),
    "an unknown field": (whole(b"\xf8\x07\x01" + field(5, W + b"\xf8\x07\x01") + REST), 2),
    "fixed widths": (whole(b"\xf9\x07" + bytes(8) + b"\xfd\x07" + bytes(4) + GRAPH), 2),
    "a length beyond the graph": (whole(field(5, W) + REST + b"\x2a\xff\x7f"), 0),
    "a length beyond 64 bits": (whole(GRAPH + b"\x2a" + b"\xff" * 9 + b"\x7f"), 0),
    "a length without an end": (whole(GRAPH + b"\x2a" + b"\xff" * 12), 0),
    "a negative number": (whole(GRAPH + b"\xf8\x07" + b"\xff" * 9 + b"\x01"), 2),
    "a tensor beyond its end": (whole(field(5, W[:-1]) + REST), 0),
    "fewer data than its shape has": (tensor(lambda t: t.dims.append(2)), 2),
    "a shape with less than nothing": (tensor(lambda t: t.dims.append(-1)), 2),
    "no type": (tensor(lambda t: t.ClearField("data_type")), 2),
    "an unknown type": (tensor(lambda t: setattr(t, "data_type", 99)), 2),
    "strings": (tensor(lambda t: setattr(t, "data_type", TensorProto.STRING)), 2),
    "numbers beside": (tensor(lambda t: t.float_data.extend([1.0] * 1500)), 2),
    "a segment": (tensor(lambda t: setattr(t.segment, "begin", 0)), 2),
    "outside": (tensor(lambda t: setattr(t, "data_location", TensorProto.EXTERNAL)), 2),
    "a name that is no text": (whole(field(5, W.replace(b"B\x01w", b"B\x01\xff")) + REST), 2),
    "a name twice": (
        changed(lambda m: m.graph.initializer.add().CopyFrom(m.graph.initializer[0])),
        3,
    ),
    "no name": (tensor(lambda t: t.ClearField("name")), 2),
    "a port of that name": (
        changed(lambda m: m.graph.input.append(onnx.helper.make_tensor_value_info("w", 1, [1500]))),
        2,
    ),
    "given out": (
        changed(
            lambda m: m.graph.output.append(onnx.helper.make_tensor_value_info("w", 1, [1500]))
        ),
        2,
    ),
    "sparse ones of that name": (
        changed(
            lambda m: m.graph.sparse_initializer.append(
                onnx.helper.make_sparse_tensor(
                    onnx.helper.make_tensor("w", 1, [1], [5.0]),
                    onnx.helper.make_tensor("w_indices", 7, [1], [3]),
                    [1500],
                )
            )
        ),
        2,
    ),
}


@pytest.fixture(autouse=True)
def every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "WORTH", 0)


def read(data: bytes, cut: dict[int, bytes]) -> bytes | None:
    """What protobuf makes of a model to which some data are given back; None where nothing."""
    try:
        proto = onnx.ModelProto.FromString(data)
    except DecodeError:
        return None
    for place, raw in cut.items():
        assert not proto.graph.initializer[place].HasField("raw_data")
        proto.graph.initializer[place].raw_data = bytes(raw)
    return proto.SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_lost(name: str) -> None:
    data, count = FILES[name]
    rest, cut = wire.cut(data, bulk.SMALL)
    assert len(cut) == count
    assert len(data) - len(rest) >= sum(map(len, cut.values()))
    assert read(rest, cut) == read(data, {})


def test_nothing_is_lost_where_bytes_are_changed_or_missing() -> None:
    small = model()
    small.graph.initializer[0].CopyFrom(numpy_helper.from_array(LARGE[:8], "w"))
    small.graph.initializer[1].CopyFrom(numpy_helper.from_array(LARGE[:9], "b"))
    good, some = small.SerializeToString(), 0
    changes = [
        good[:place] + bytes([byte]) + good[place + 1 :]
        for place, byte in itertools.product(range(len(good)), (0, 1, 5, 0x2A, 0x7F, 0x80, 0xFF))
    ]
    for data in (*changes, *(good[:end] for end in range(len(good)))):
        rest, cut = wire.cut(data, 4)
        some += bool(cut)
        assert read(rest, cut) == read(data, {})
    assert some > 100


def outcome(data: bytes | Path) -> object:
    """The weights of a net, or what is said of it."""
    try:
        net = load(NetFiles(data))
    except PortgradError as error:
        return type(error), str(error), error.code, error.where, error.expected, error.found
    held = {name: value.const_value for name, value in net.graph.initializers.items()}
    arrays = {name: tensor.numpy() for name, tensor in held.items() if tensor is not None}
    assert not any(array.flags.writeable for array in arrays.values() if array.nbytes > 4096)
    assert all(array.flags.aligned for array in arrays.values())
    told = [(name, array.tobytes(), array.shape, array.dtype) for name, array in arrays.items()]
    return told, str(ir.to_proto(net.graph))


@pytest.mark.parametrize("name", FILES)
def test_nets_and_refusals_are_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = FILES[name]
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    found = [outcome(data), outcome(path)]
    monkeypatch.setattr(wire, "WORTH", 2**30)
    assert found == [outcome(data)] * 2


@pytest.mark.parametrize("dtype", [d for d in ir.DataType if d not in {0, TensorProto.STRING}])
def test_tensors_of_every_type(dtype: ir.DataType, monkeypatch: pytest.MonkeyPatch) -> None:
    bits = np.random.default_rng(0).integers(0, 2, 8000 * dtype.bitwidth // 8, np.uint8)
    held = TensorProto(name="w", data_type=dtype, dims=[20, 400], raw_data=bits.tobytes())
    proto = model()
    proto.graph.initializer.append(held)
    found = outcome(proto.SerializeToString())
    monkeypatch.setattr(wire, "WORTH", 2**30)
    assert found == outcome(proto.SerializeToString())


def test_many_fields_are_left_to_protobuf(monkeypatch: pytest.MonkeyPatch) -> None:
    data = model().SerializeToString()
    monkeypatch.setattr(wire, "_MOST", 8)
    assert wire.cut(data, bulk.SMALL) == (data, {})


def test_small_files_are_left_to_protobuf(monkeypatch: pytest.MonkeyPatch) -> None:
    data = model().SerializeToString()
    monkeypatch.setattr(wire, "WORTH", len(data) + 1)
    assert wire.cut(data, bulk.SMALL) == (data, {})
