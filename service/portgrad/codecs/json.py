"""JSON: nested lists, or objects with exactly dtype, shape and data (base64, little-endian)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson

from portgrad.codecs import options, pieces, seeds, text
from portgrad.codecs.arrays import (
    DTYPES,
    Array,
    from_bytes,
    is_extension,
    little_endian,
    not_carried,
)
from portgrad.codecs.bounds import Bounds
from portgrad.codecs.kinds import DATA, FORMS, REQUIRED, SEEDS
from portgrad.codecs.model import (
    Answer,
    ArrayLike,
    Buffer,
    Call,
    Codec,
    Encoding,
    Kind,
    Known,
    Seed,
)
from portgrad.codecs.refusals import shown
from portgrad.errors import InvalidRequest, Malformed

MEDIA_TYPE = "application/json"
_KEYS = {"dtype", "shape", "data"}


def decode(given: Buffer, query: str | None, kind: Kind, _known: Known, bounds: Bounds) -> Call:
    """Read a call."""
    if query is not None:
        raise InvalidRequest(
            "The query parameter `options` goes with binary bodies.",
            code="invalid_field",
            where="options",
            remedy="Put the fields into the JSON body.",
        )
    body = bytes(given)  # no copy where it is that already
    text.check_elements(body, bounds)
    text.check_keys(body, bounds)
    fields = text.loads(body, "body", bounds)
    holding = FORMS[kind].holding
    for field in REQUIRED:
        if field in holding and field not in fields:
            raise _missing(field)
    named = {field: fields.pop(field) for field in holding if field in fields}
    chosen, encoding = options.read(fields, kind)
    bounds.check_arrays(sum(len(one) for one in named.values() if isinstance(one, dict)))
    data = _data(named.pop(DATA))
    arrays = {field: _by_name(value, field) for field, value in named.items()}
    return Call(data, arrays, chosen, encoding)


def _data(data: Any) -> dict[str, ArrayLike] | ArrayLike:
    if isinstance(data, dict) and not _is_array(data):
        return {name: _array(value, name) for name, value in data.items()}
    return _array(data, "data")


def _by_name(given: Any, field: str) -> dict[str, Seed]:
    if given is None:
        return {}
    if isinstance(given, dict) and not _is_array(given):
        read = _seed if field == SEEDS else _array
        return {name: read(value, name) for name, value in given.items()}
    raise InvalidRequest(
        f"The field `{field}` is not an object.",
        code="invalid_field",
        where=field,
        expected="arrays by name",
        found=type(given).__name__,
        remedy=f'Name what each array is for, such as {{"{field}": {{"name": [0, 1]}}}}.',
    )


def _seed(value: Any, where: str) -> Seed:
    if seeds.is_class_seed(value):
        return value  # type: ignore[no-any-return]  # the engine holds it against the output
    if isinstance(value, dict) and _KEYS.isdisjoint(value):
        raise InvalidRequest(
            "A gradient to impose is neither an array nor a place in its output.",
            code="invalid_class_seed",
            where=f"{SEEDS}.{where}",
            expected='an array, {"index": 3} or {"at": [0, 2]}',
            found=shown(value),
            remedy='Impose an array, or say "index" or "at".',
        )
    return _array(value, where)


def _missing(field: str) -> InvalidRequest:
    return InvalidRequest(
        f"The request has no {field}.",
        code="missing_field",
        where=field,
        expected="arrays by name",
        remedy=f'Add the field `{field}`, such as {{"{field}": {{"input": [1, 2]}}}}.',
    )


def _is_array(value: dict[str, Any]) -> bool:
    """Whether an object is one array, not arrays by the names dtype, shape and data."""
    return value.keys() == _KEYS and isinstance(value["data"], str)


def _array(value: Any, where: str) -> ArrayLike:
    if isinstance(value, dict):
        return _from_object(value, where)
    if value is None:
        raise _invalid("null is not an array", where, "null")
    found: ArrayLike = value
    return found


def _from_object(value: dict[str, Any], where: str) -> ArrayLike:
    if value.keys() != _KEYS:
        raise _invalid("An array object has other keys", where, ", ".join(sorted(value)) or "{}")
    dtype, shape, data = value["dtype"], value["shape"], value["data"]
    if not isinstance(dtype, str) or not isinstance(data, str):
        raise _invalid("dtype and data of an array object are not both strings", where)
    sizes_are_right = isinstance(shape, list) and all(
        type(size) is int and 0 <= size < 2**63 for size in shape
    )
    if not sizes_are_right:
        raise _invalid("The shape of an array object is not a list of sizes", where, shown(shape))
    try:
        raw = binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:
        raise _invalid("The data of an array object is not base64", where, str(error)) from error
    return from_bytes(raw, little_endian(dtype, where), shape, where)


def _invalid(detail: str, where: str, found: str | None = None) -> Malformed:
    return Malformed(
        f"{detail}.",
        code="invalid_array",
        where=where,
        expected="nested lists, or an object with exactly dtype, shape and data (base64)",
        found=found[:80] if found else None,
        remedy='Send such as [[1, 2]] or {"dtype": "float32", "shape": [1], "data": "AACAPw=="}.',
    )


def encode(answer: Answer, kind: Kind, encoding: Encoding) -> bytes:
    """Write an answer."""
    shown = _as_object if encoding == "base64" else _as_list
    return _dumps(_body(answer, kind, shown))


def encode_pieces(answer: Answer, kind: Kind, encoding: Encoding) -> Iterator[bytes]:
    """Write an answer a piece at a time, the same text."""

    def lists(array: Array) -> Iterator[bytes]:
        return pieces.of_lists(array, lambda part: _dumps(_as_list(part, "")))

    def of_object(array: Array) -> Iterator[bytes]:
        if array.dtype.name not in DTYPES:
            yield from lists(array)
            return
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        told = _dumps({"dtype": array.dtype.name, "shape": list(array.shape), "data": ""})
        yield told[:-2]
        yield from pieces.of_base64(little)
        yield told[-2:]

    shown = _as_it_is if encoding == "base64" else _listed
    body = _body(answer, kind, shown)
    return pieces.gathered(pieces.of(body, of_object if encoding == "base64" else lists))


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _body(answer: Answer, kind: Kind, shown: Callable[[Any, str], Any]) -> dict[str, Any]:
    body = dict(answer.about)
    form = FORMS[kind]
    if form.result is not None:
        body[form.result] = _by_place(answer, shown)
    if "outputs" in form.fields:
        body["outputs"] = {name: shown(a, name) for name, a in answer.outputs.items()}
    return body


def _as_it_is(array: Any, _name: str) -> Any:
    return array


def _listed(array: Any, name: str) -> Any:
    """What will be written as lists, if it can be."""
    for one in array if isinstance(array, list) else [array]:
        _check_lists(one, name)
    return array


def _by_place(answer: Answer, shown: Callable[[Any, str], Any]) -> dict[str, Any]:
    """Objects in objects, one for each name of an array's place but the last."""
    found: dict[str, Any] = {}
    for place, array in answer.derivatives.items():
        inner = found
        for name in place[:-1]:
            inner = inner.setdefault(name, {})
        inner[place[-1]] = shown(array, "/".join(place))
    return found


def _as_object(array: Any, name: str) -> Any:
    if isinstance(array, list):
        return [_as_object(one, name) for one in array]
    dtype = getattr(array, "dtype", None)
    if dtype is None or dtype.name not in DTYPES:
        # Strings and sequences have no bytes; a list beside objects is plain to tell apart.
        return _as_list(array, name)
    little = array.astype(dtype.newbyteorder("<"), copy=False)
    data = base64.b64encode(little.tobytes()).decode("ascii")
    return {"dtype": dtype.name, "shape": list(array.shape), "data": data}


def _as_list(array: Any, name: str) -> Any:
    """What orjson writes as nested lists: the array itself where it can, else lists."""
    if isinstance(array, list):  # a sequence of arrays
        return [_as_list(one, name) for one in array]
    if not isinstance(array, np.ndarray | np.generic):
        return array
    array = np.asarray(array)
    _check_lists(array, name)
    if is_extension(array.dtype):
        # Extension types, which orjson does not know. These two hold each of their values exactly.
        array = array.astype(np.int8 if "int" in array.dtype.name else np.float32)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return _with_names(array)
    if array.dtype.kind in "biuf":
        return np.asarray(array, array.dtype.newbyteorder("="), order="C")[()]
    return array.tolist()


def _check_lists(array: Any, name: str) -> None:
    dtype = getattr(array, "dtype", None)
    if dtype is not None and dtype.kind == "c":
        raise not_carried(name, dtype.name, "A list of numbers", '"encoding": "base64"')


def _with_names(array: np.ndarray[Any, Any]) -> Any:
    """Lists in which the three values that JSON has no number for are strings."""
    named = array.astype(object)
    named[np.isnan(array)] = "NaN"
    named[np.isposinf(array)] = "Infinity"
    named[np.isneginf(array)] = "-Infinity"
    return named.tolist()


CODEC = Codec(
    MEDIA_TYPE,
    decode,
    encode,
    weigh=text.weigh,
    setting="max_json_bytes",
    pieces=encode_pieces,
)
