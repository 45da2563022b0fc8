"""Every code that an error can bear stands in the reference, and nothing else does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import portgrad

ROOT = Path(portgrad.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "problems.md"


def _strings(node: ast.expr) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def _codes(tree: ast.AST) -> Iterator[str]:
    """Literals given as `code=` and as `default_code`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "code":
            yield from _strings(node.value)
        named = isinstance(node, ast.AnnAssign | ast.Assign) and ast.unparse(
            node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        )
        if named == "default_code" and node.value is not None:  # type: ignore[union-attr]
            yield from _strings(node.value)  # type: ignore[union-attr]


def test_the_reference_has_every_code() -> None:
    raised = {
        code for path in ROOT.rglob("*.py") for code in _codes(ast.parse(path.read_text("utf-8")))
    }
    told = set(re.findall(r"^\| `([a-z0-9_]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert sorted(raised - told) == [], "docs/reference/problems.md lacks these codes"
    assert sorted(told - raised) == [], "docs/reference/problems.md has codes that nothing raises"
