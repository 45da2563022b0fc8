"""What is known of the runtime's own operators is what the runtime says of them."""

from __future__ import annotations

from pathlib import Path

import portgrad.graph
from support.contrib_schemas import text


def test_the_schemas_are_those_of_the_runtime() -> None:
    data = Path(portgrad.graph.__file__).parent / "schemas" / "contrib.json"
    assert data.read_text() == text(), "python -m support.contrib_schemas > " + data.name
