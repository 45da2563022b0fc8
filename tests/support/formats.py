"""Bodies and answers of each array format, written without the service's own codecs."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Collection, Mapping
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import TensorSpec, deserialize, serialize

JSON = "application/json"
SAFETENSORS = "application/x-safetensors"
NPZ = "application/x-npz"
FORMATS = (JSON, SAFETENSORS, NPZ)

Arrays = Mapping[str, np.ndarray[Any, Any]]

_CODES = {
    "F16": "float16", "F32": "float32", "F64": "float64", "BF16": "bfloat16", "BOOL": "bool",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "C64": "complex64",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
    "F8_E4M3": "float8_e4m3fn", "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu",
}  # fmt: skip


def dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name, name))


def as_object(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def from_object(value: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    raw = base64.b64decode(value["data"])
    return np.frombuffer(raw, dtype_of(value["dtype"])).reshape(value["shape"])


def to_safetensors(arrays: Arrays, metadata: dict[str, str] | None = None) -> bytes:
    kept = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return serialize(
        {
            name: TensorSpec(
                dtype=array.dtype.name,
                shape=array.shape,
                data_ptr=array.ctypes.data,
                data_len=array.nbytes,
            )
            for name, array in kept.items()
        },
        metadata,
    )


def to_npz(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


# The fields of JSON whose arrays have a prefix in binary bodies.
PREFIXES = {"seed/": "output_gradients", "tangent/": "tangents"}
# The fields of JSON answers that hold what was found, and what it begins with in binary ones.
RESULTS = {
    "gradients": "grad/", "tangents": "jvp/", "products": "hvp/", "jacobian": "jacobian/",
    "hessian": "hessian/",
}  # fmt: skip


def request(
    fmt: str, arrays: Arrays, *, parameters: Collection[str] = (), **options: Any
) -> dict[str, Any]:
    """The keyword arguments of a request with these arrays, named as in binary bodies."""
    headers = {"Content-Type": fmt}
    if fmt == JSON:
        body: dict[str, Any] = {"data": {}}
        for name, array in arrays.items():
            prefix = next(filter(name.startswith, PREFIXES), "")
            field = PREFIXES.get(prefix, "parameters" if name in parameters else "data")
            body.setdefault(field, {})[name.removeprefix(prefix)] = as_object(array)
        for name, value in options.items():
            body[name] = body[name] | value if name in body else value
        return {"headers": headers, "content": json.dumps(body)}
    content = to_safetensors(arrays) if fmt == SAFETENSORS else to_npz(arrays)
    params = {"options": json.dumps(options)} if options else {}
    return {"headers": headers, "content": content, "params": params}


def _flat(prefix: str, found: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in found.items():
        if value.keys() == {"dtype", "shape", "data"}:
            arrays[prefix + name] = from_object(value)
        else:
            arrays |= _flat(f"{prefix}{name}/", value)
    return arrays


def answer(fmt: str, content: bytes) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    """The arrays of an answer, named as in binary bodies, and the rest of it."""
    if fmt == JSON:
        body = json.loads(content)
        found = {
            name: array
            for field, prefix in RESULTS.items()
            for name, array in _flat(prefix, body.pop(field, {})).items()
        }
        return found | {n: from_object(a) for n, a in body.pop("outputs", {}).items()}, body
    if fmt == SAFETENSORS:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        entries = {
            name: np.frombuffer(entry["data"], dtype_of(_CODES[entry["dtype"]])).reshape(
                entry["shape"]
            )
            for name, entry in deserialize(content)
        }
        return entries, json.loads(header["__metadata__"]["answer"])
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        members = {name: file[name] for name in file.files}
    return members, json.loads(members.pop("__meta__").tobytes().decode())
