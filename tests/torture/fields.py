"""Mutations of one field of a protobuf message, whatever it means: size, index, type, name, …

They are drawn from a generator, so that the same seed does the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

# Sizes, counts and indices that code is tempted to add, multiply, negate or allocate.
NUMBERS = (
    *(0, 1, -1, 2, 3, 7, 64, 255, 65_536, 10**6, 2**28, 2**31 - 1, 2**31, -(2**31)),
    *(2**32, 2**40, 2**62, 2**63 - 1, -(2**63), -(2**63) + 1),
)
FLOATS = (0.0, -0.0, -1.0, 0.5, 1e-40, 1e9, 3e38, -3e38, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "x", "y", "..", "../up", "/etc/passwd", "a\x00b", "\u202e", "9" * 30, "-1", "N" * 9000)
OPERATORS = (
    "Add Cast Concat Constant ConstantOfShape Conv ConvTranspose CumSum Dropout Einsum Expand "
    "EyeLike Gather GatherND GridSample GRU Identity If LSTM Loop MatMul MaxPool MaxUnpool Mod Div "
    "NonMaxSuppression NonZero OneHot Optional Pad Range ReduceSum Reshape Resize RoiAlign Scan "
    "ScatterND SequenceAt SequenceEmpty Shape Slice Split SplitToSequence Squeeze STFT Tile TopK "
    "Transpose Trilu Unique Unsqueeze Where"
).split()

# What nobody reads.
_IDLE = {"doc_string", "producer_name", "producer_version", "model_version", "metadata_props"}

# What passes the checks of names and types more often: numbers, which the runtime computes with.
_TELLING = {
    "i",
    "ints",
    "f",
    "floats",
    "s",
    "raw_data",
    "int64_data",
    "dims",
    "dim_value",
    "dim_param",
}

Slot = tuple[Message, FieldDescriptor]
_TEXT, _BYTES, _MESSAGE = (
    FieldDescriptor.CPPTYPE_STRING,
    FieldDescriptor.TYPE_BYTES,
    FieldDescriptor.CPPTYPE_MESSAGE,
)
_FLOATING = {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}


def slots(message: Message) -> Iterator[Slot]:
    """Every field that is set and that matters, to any depth."""
    for field, value in message.ListFields():
        if field.name in _IDLE:
            continue
        yield message, field
        if field.cpp_type == _MESSAGE:
            for inner in value if field.is_repeated else [value]:
                yield from slots(inner)


def mutate(rng: random.Random, root: Message) -> str:
    """Change one field of a message, in place; what was done."""
    found = list(slots(root))
    # Kinds of fields are drawn first: a model has a hundred names for each opset or dimension.
    kinds = sorted({_kind(field) for _, field in found})
    kind = rng.choice(
        [k for k in kinds if k.split(".")[1] in _TELLING] or kinds if rng.random() < 0.5 else kinds
    )
    message, field = rng.choice([slot for slot in found if _kind(slot[1]) == kind])
    if field.is_repeated:
        done = _repeated(rng, message, field, found)
    elif field.cpp_type == _MESSAGE:
        done = _message(rng, message, field, found)
    else:
        value = _scalar(rng, field, getattr(message, field.name), found)
        setattr(message, field.name, value)
        done = f"= {value!r:.60}"
    return f"{message.DESCRIPTOR.name}.{field.name} {done}"


def _kind(field: FieldDescriptor) -> str:
    return f"{field.containing_type.name}.{field.name}"


def _repeated(rng: random.Random, message: Message, field: FieldDescriptor, found: Any) -> str:
    values = getattr(message, field.name)
    at = rng.randrange(len(values))
    action = rng.choice(("drop", "double", "swap", "clear", "change", "change", "change"))
    if action == "clear":
        message.ClearField(field.name)
    elif action == "drop":
        del values[at]
    elif action == "swap":
        other = rng.randrange(len(values))
        items = [_copied(value, field) for value in values]
        items[at], items[other] = items[other], items[at]
        message.ClearField(field.name)
        getattr(message, field.name).extend(items)
    elif field.cpp_type == _MESSAGE:
        if action == "double":
            values.append(_copied(values[at], field))
        else:
            values[at].CopyFrom(_copied(_like(rng, values[at], found), field))
    elif action == "double":
        values.append(values[at])
    else:
        values[at] = _scalar(rng, field, values[at], found)
        action = f"[{at}] = {values[at]!r:.60}"
    return action


def _copied(value: Any, field: FieldDescriptor) -> Any:
    if field.cpp_type != _MESSAGE:
        return value
    copy = type(value)()
    copy.CopyFrom(value)
    return copy


def _message(rng: random.Random, message: Message, field: FieldDescriptor, found: Any) -> str:
    if rng.random() < 0.3:
        message.ClearField(field.name)
        return "cleared"
    inner = getattr(message, field.name)
    inner.CopyFrom(_copied(_like(rng, inner, found), field))
    return "of elsewhere"


def _like(rng: random.Random, message: Message, found: Any) -> Message:
    """Another message of the same type, from anywhere: a graph may so come to lie in itself."""
    return rng.choice([m for m, _ in found if m.DESCRIPTOR is message.DESCRIPTOR] or [message])


def _scalar(rng: random.Random, field: FieldDescriptor, old: Any, found: Any) -> Any:
    if field.type == _BYTES:
        return noise(rng, old)
    if field.cpp_type == _TEXT:
        return _text(rng, field, old, found)
    if field.cpp_type in _FLOATING:
        return rng.choice((*FLOATS, old * 2))
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    number = rng.choice((*NUMBERS, old + 1, old - 1, -old, old * 2, rng.randrange(30)))
    narrow = field.cpp_type == FieldDescriptor.CPPTYPE_INT32
    unsigned = field.cpp_type == FieldDescriptor.CPPTYPE_UINT64
    top = 2**31 if narrow else 2**63
    return abs(number) % top if unsigned else (number + top) % (2 * top) - top


def _text(rng: random.Random, field: FieldDescriptor, old: str, found: Any) -> str:
    if field.name == "op_type" and rng.random() < 0.8:
        return rng.choice(OPERATORS)
    others = [getattr(m, f.name) for m, f in found if f is field and not f.is_repeated]
    names = [n for m, f in found if f.name in {"input", "output"} for n in getattr(m, f.name)]
    names = [name for name in names if isinstance(name, str)]
    return rng.choice((*TEXTS, old + "_", rng.choice(others or [old]), *names[:40]))


def noise(rng: random.Random, data: bytes) -> bytes:
    """Bytes that are not quite these: flipped, cut, grown, or with a hostile number in them."""
    changed = bytearray(data)
    action = rng.choice(("flip", "flip", "number", "number", "cut", "grow"))
    if action == "cut":
        return bytes(changed[: rng.randrange(len(changed) + 1)])
    if action == "grow" or not changed:
        return bytes(changed) + rng.randbytes(rng.randrange(1, 16))
    if action == "flip":
        for _ in range(rng.randrange(1, 8)):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)
    width = rng.choice((1, 4, 8))
    at = rng.randrange(max(1, len(changed) // width)) * width
    number = rng.choice(NUMBERS) % 2 ** (8 * width)
    changed[at : at + width] = number.to_bytes(width, "little")[: len(changed) - at]
    return bytes(changed)
