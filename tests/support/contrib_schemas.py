"""The data of `graph.schemas.contrib`: what onnxruntime says of its operators with a CPU kernel.

`PYTHONPATH=tests python -m support.contrib_schemas > service/portgrad/graph/schemas/contrib.json`
"""

from __future__ import annotations

import json
from typing import Any

import onnx
import onnxruntime.capi.onnxruntime_pybind11_state as state

DOMAIN = "com.microsoft"
# Written into files by the runtime's optimizer, though the standard has no such operator.
IN_DEFAULT_DOMAIN = {"SimplifiedLayerNormalization"}


def schemas() -> dict[str, Any]:
    """Each operator's formal operands, outputs, type parameters and attributes, by name."""
    with_kernel = {
        kernel.op_name
        for kernel in state.get_all_opkernel_def()
        if kernel.domain == DOMAIN and kernel.provider == "CPUExecutionProvider"
    }
    found = [
        schema
        for schema in state.get_all_operator_schema()
        if (schema.domain == DOMAIN and schema.name in with_kernel)
        or (schema.domain == "" and schema.name in IN_DEFAULT_DOMAIN)
    ]
    return {schema.name: _plain(schema) for schema in sorted(found, key=lambda s: s.name)}


def _plain(schema: Any) -> dict[str, Any]:
    return {
        "domain": schema.domain,
        "since": schema.since_version,
        "inputs": [_formal(formal) for formal in schema.inputs],
        "outputs": [_formal(formal) for formal in schema.outputs],
        "types": {t.type_param_str: sorted(t.allowed_type_strs) for t in schema.type_constraints},
        "attributes": {a.name: _attribute(a) for _, a in sorted(schema.attributes.items())},
    }


def _formal(formal: Any) -> list[str]:
    return [formal.name, str(formal.option).rsplit(".", 1)[-1], formal.typeStr]


def _attribute(attribute: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {"type": str(attribute.type).rsplit(".", 1)[-1]}
    if attribute.required:
        plain["required"] = True
    default = onnx.AttributeProto.FromString(attribute._default_value)
    if default.type:
        value = onnx.helper.get_attribute_value(default)
        plain["default"] = value.decode() if isinstance(value, bytes) else value
    return plain


def text() -> str:
    """The data file: an operator a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(s)}" for name, s in schemas().items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    print(text(), end="")
