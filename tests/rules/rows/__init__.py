"""Rows of the rule table, one file per family of operators, as in `portgrad.autodiff.rules`."""

from __future__ import annotations

import importlib
import pkgutil

from support.rig import Row


def families() -> dict[str, list[Row]]:
    """The rows of each file here and in the folders of other domains."""
    names = [m.name for m in pkgutil.walk_packages(__path__, f"{__name__}.") if not m.ispkg]
    return {name.removeprefix(f"{__name__}."): importlib.import_module(name).ROWS for name in names}
