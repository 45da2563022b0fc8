"""The table of exporters in the documentation.

`PYTHONPATH=tests python -m support.exporters.report` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx

from support.exporters.judge import Judged, relative
from support.exporters.sample import FOLDER

TITLES = {
    "keras": "Keras 3.15, `model.export` (by tf2onnx)",
    "onnxscript": "onnxscript",
    "skl2onnx": "skl2onnx",
    "tf2onnx": "tf2onnx, a function around Keras 3.15",
    "torch_dynamo": "torch, `dynamo=True`",
    "torch_script": "torch, `dynamo=False`",
}


def files() -> dict[str, list[Path]]:
    """The nets by their exporter."""
    return {name: sorted((FOLDER / name).glob("*.onnx")) for name in TITLES}


def version(model: onnx.ModelProto) -> str:
    """What the exporter says that it is."""
    return model.producer_version.split()[0].split("+")[0]


def opset(model: onnx.ModelProto) -> int:
    """The version of ai.onnx."""
    return next(entry.version for entry in model.opset_import if not entry.domain)


def worst(path: Path) -> float:
    """The largest relative difference of a gradient from the framework's."""
    judged = Judged.load(path)
    return max(relative(judged.all_gradients(), judged.sample.gradients).values())


def rows() -> Iterator[tuple[str, list[Path]]]:
    """Each row of the table but its figure, and the files that it is about."""
    for name, paths in files().items():
        models = [onnx.load(path) for path in paths]
        versions = sorted({version(model) for model in models})
        opsets = sorted({opset(model) for model in models})
        cells = (
            TITLES[name],
            ", ".join(versions),
            ", ".join(map(str, opsets)),
            ", ".join(path.stem for path in paths),
        )
        yield f"| {' | '.join(cells)} |", paths


def _print() -> None:
    print("| exporter | version | opsets | nets | largest difference |")
    print("| --- | --- | --- | --- | --- |")
    for row, paths in rows():
        print(f"{row} {max(map(worst, paths)):.0e} |")


if __name__ == "__main__":
    _print()
