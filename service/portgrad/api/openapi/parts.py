"""The pieces that schemas are made of."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BINARY: Schema = {"type": "string", "format": "binary"}


def ref(name: str) -> Schema:
    """A reference to one of the schemas here."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(item: Schema) -> Schema:
    """A list of such items."""
    return {"type": "array", "items": item}


def by_name(item: Schema, description: str) -> Schema:
    """An object with such an item for each name."""
    return {"type": "object", "additionalProperties": item, "description": description}


def obj(required: Schema, optional: Schema | None = None, *, closed: bool = False) -> Schema:
    """An object with these properties, and no others where it is closed."""
    schema: Schema = {"type": "object", "required": list(required)}
    schema["properties"] = required | (optional or {})
    return schema | ({"additionalProperties": False} if closed else {})


def nullable(schema: Schema, description: str) -> Schema:
    """A schema that takes null too."""
    # A sibling of $ref is ignored, and a bare `nullable` beside oneOf is not enough in 3.0.
    return {**schema, "nullable": True, "description": description}
