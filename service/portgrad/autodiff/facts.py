"""What is asked of an operator's schema at every node, looked up once."""

from __future__ import annotations

import functools
from typing import NamedTuple

import onnx


class Facts(NamedTuple):
    """Parts of a schema: every look into the schema itself makes a copy.

    Attributes:
        operands: the type parameters of its formal operands.
        outputs: those of its outputs.
        stashes: whether an attribute says in what it computes.
    """

    operands: tuple[str, ...]
    outputs: tuple[str, ...]
    stashes: bool


@functools.lru_cache(maxsize=4096)
def facts(schema: onnx.defs.OpSchema) -> Facts:
    """What is known of a schema."""
    return Facts(
        tuple(str(formal.type_str) for formal in schema.inputs),
        tuple(str(formal.type_str) for formal in schema.outputs),
        "stash_type" in schema.attributes,
    )
