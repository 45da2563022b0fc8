"""A release of onnx or of onnxruntime that adds an operator is noticed: each is listed on purpose.

Listed is what has a rule, a body of its own or the standard's, a derivative of zero, or a reason
why it is refused, at every version that a normalised net can contain.
"""

from __future__ import annotations

import json
from importlib import resources

import onnx

import portgrad.graph.schemas
from portgrad.autodiff import rules
from portgrad.autodiff.binding import has_function_body, versions_between
from portgrad.autodiff.registry import lookup


def _operators() -> set[tuple[str, str]]:
    standard = {
        (schema.domain, schema.name)
        for schema in onnx.defs.get_all_schemas()
        if schema.domain in ("", "ai.onnx.ml") and not schema.deprecated
    }
    text = resources.files(portgrad.graph.schemas).joinpath("contrib.json").read_text("utf-8")
    return standard | {(plain["domain"], name) for name, plain in json.loads(text).items()}


def _unlisted(domain: str, name: str) -> bool:
    return any(
        lookup(domain, name, schema.since_version) is None and not has_function_body(schema)
        for schema in versions_between(name, domain, 1, None)
    )


def test_every_operator_is_listed() -> None:
    assert rules  # importing them registers them
    assert {key for key in _operators() if _unlisted(*key)} == set()
