"""Makes the files of `tests/data/exported` again, as far as the exporters are installed.

PYTHONPATH=tests python -m support.exporters            # all
PYTHONPATH=tests python -m support.exporters bert lstm  # those of some names
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

from support.exporters.sample import FOLDER, Made

MODULES = (
    "torch_nets",
    "transformers_nets",
    "diffusers_nets",
    "onnxscript_nets",
    "sklearn_nets",
    "keras_nets",
)


def _made(module: str) -> Iterator[Made]:
    try:
        yield from importlib.import_module(f"support.exporters.{module}").made()
    except ModuleNotFoundError as error:
        print(f"{module}: left out, {error.name} is not installed")


def main(wanted: list[str]) -> None:
    """Write the nets of some names, or all."""
    for module in MODULES:
        for one in _made(module):
            if not wanted or one.name in wanted:
                one.make().save(FOLDER / one.exporter, one.name)
                print(f"{one.exporter}/{one.name}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
