"""Every setting stands in the reference, with its default."""

from __future__ import annotations

import re
from pathlib import Path

from portgrad.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_the_reference_has_every_setting_and_its_default() -> None:
    rows = re.findall(r"^\| `PORTGRAD_(\w+)` \| (.+?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    told = {name.lower(): default.strip("`") for name, default in rows}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    shown = {name: "not set" if value is None else str(value) for name, value in defaults.items()}
    assert told == shown
