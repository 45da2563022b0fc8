"""Small pipelines of scikit-learn as skl2onnx converts them, with scikit-learn's own slopes.

`PYTHONHASHSEED=0 PYTHONPATH=tests python -m support.sklearn_nets` makes the files of
`tests/data/sklearn` again; it needs scikit-learn and skl2onnx, whose order of nodes depends on
hashes. The gradients beside a net are differences of what scikit-learn itself predicts in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn import datasets

from support.double import Arrays
from support.exporters.sample import Exported, Sample

FOLDER = Path(__file__).parents[1] / "data" / "sklearn"
STEP = 1e-4


@dataclass(frozen=True)
class Source:
    """A pipeline to fit, convert and differentiate.

    Args:
        make: the pipeline, not fitted.
        data: the name of the data that it is fitted on: see `fitted`.
        method: what is asked of it.
        output: the output port that says the same.
        double: whether it is converted with doubles as inputs.
        options: skl2onnx's, for the pipeline by name, for what is inside by class.
        opset: the version of ai.onnx that it is converted to.
        both: the net gives the score of the second of two classes and minus it.
    """

    make: Callable[[], Any]
    data: str = "three"
    method: str = "predict_proba"
    output: str = "probabilities"
    double: bool = False
    options: Mapping[Any, Any] = field(default_factory=dict)
    opset: int = 21
    both: bool = False


def exported(source: Source) -> Exported:
    """The net that skl2onnx makes of a pipeline, and a point of it."""
    x, y = _fitting_data(source.data)
    pipeline = source.make()
    pipeline.fit(x, y)
    named = {"zipmap": False} if source.method == "predict_proba" else {}
    named |= {key: value for key, value in source.options.items() if isinstance(key, str)}
    inside = {key: value for key, value in source.options.items() if not isinstance(key, str)}
    with mock.patch.object(onnx.helper, "make_attribute", _attribute):
        model = to_onnx(
            pipeline,
            initial_types=_types(source),
            options=inside | ({id(pipeline): named} if named else {}),
            target_opset={"": source.opset, "ai.onnx.ml": 3},
        )
    imports = sorted(model.opset_import, key=lambda entry: entry.domain)
    del model.opset_import[:]  # in an order of its own in each process
    model.opset_import.extend(imports)
    return Exported(model, _sample(source, pipeline))


_make_attribute = onnx.helper.make_attribute


def _attribute(key: str, value: Any, *args: Any, **named: Any) -> onnx.AttributeProto:
    """skl2onnx 1.20 gives booleans and NumPy's integers, which onnx 1.23 does not take."""
    if isinstance(value, list):
        value = [int(v) if isinstance(v, bool | np.bool_ | np.integer) else v for v in value]
    return _make_attribute(key, value, *args, **named)


def _types(source: Source) -> list[tuple[str, Any]]:
    numbers = DoubleTensorType if source.double else FloatTensorType
    if source.data == "texts":
        return [("text", StringTensorType([None, 1]))]
    if source.data == "table":
        kinds = {"age": numbers, "fare": numbers, "town": StringTensorType}
        return [(name, kind([None, 1])) for name, kind in kinds.items()]
    columns = _fitting_data(source.data)[0].shape[1]
    return [("X", numbers([None, columns]))]


def _sample(source: Source, pipeline: Any) -> Sample:
    inputs = _point(source.data)
    kept = {n: x.astype(np.float64) if x.dtype.kind == "f" else x for n, x in inputs.items()}
    if source.double:
        inputs = kept

    def predict(data: Arrays) -> np.ndarray:
        got = getattr(pipeline, source.method)(_as_fitted(source.data, data))
        if got.ndim == 1 and source.method == "decision_function" and source.both:
            return np.stack([-got, got], axis=1)
        return got.reshape(len(got), -1)

    y = predict(kept)
    seed = np.random.default_rng(7).standard_normal(y.shape)
    slopes = {name: _slope(predict, kept, name, seed) for name in kept if kept[name].dtype == float}
    return Sample(inputs, {source.output: seed}, {source.output: y}, slopes, {})


def _slope(predict: Callable[[Arrays], np.ndarray], data: Arrays, name: str, seed: np.ndarray):  # type: ignore[no-untyped-def]
    """Differences of the fourth order along each feature, of all examples at once."""
    slope = np.zeros_like(data[name])
    for column in range(slope.shape[1]):

        def along(step: float, column: int = column) -> np.ndarray:
            moved = data[name].copy()
            moved[:, column] += step
            return np.sum(predict({**data, name: moved}) * seed, axis=1)

        near, far = along(STEP) - along(-STEP), along(2 * STEP) - along(-2 * STEP)
        slope[:, column] = (8 * near - far) / (12 * STEP)
    return slope


# -- data ------------------------------------------------------------------------------------------

TEXTS = [
    "red apples and green pears", "green pears grow slowly", "apples fall from trees",
    "the train leaves at noon", "a slow train to the coast", "trains and buses leave the town",
]  # fmt: skip
TOWNS = ["oslo", "bern", "riga"]


def _fitting_data(name: str) -> tuple[Any, np.ndarray]:
    """Features and targets.

    `two`, `three` or `four` classes, `named` ones, `holes` in the features; a `number` or a pair of
    `numbers` to predict; a `table` with a column of text; `texts` alone.
    """
    if name == "texts":
        return np.array(TEXTS).reshape(-1, 1), np.array([0, 0, 0, 1, 1, 1])
    rng = np.random.default_rng(5)
    if name == "table":
        numbers = rng.standard_normal((60, 2)) * [10, 3] + [40, 10]
        towns = rng.choice(TOWNS, 60)
        likely = numbers[:, 0] / 10 - numbers[:, 1] / 3 + (towns == "oslo")
        y = (likely + rng.standard_normal(60) > np.median(likely)).astype(int)
        return _frame(numbers[:, :1], numbers[:, 1:], towns.reshape(-1, 1)), y
    if name in {"number", "numbers"}:
        x = rng.standard_normal((60, 4))
        y = np.stack([np.sin(x[:, 0]) + x[:, 1] ** 2, x[:, 2] - x[:, 3]], axis=1)
        return x, y if name == "numbers" else y[:, 0]
    x, y = datasets.load_iris(return_X_y=True)
    if name == "two":
        x, y = x[50:], y[50:] - 1
    if name == "four":
        y = y + (x[:, 0] > 6)
    if name == "holes":
        x[::7, 1] = np.nan
    return (x, np.array(["setosa", "versicolor", "virginica"])[y]) if name == "named" else (x, y)


def _frame(age: np.ndarray, fare: np.ndarray, town: np.ndarray) -> np.ndarray:
    return np.concatenate([age.astype(object), fare.astype(object), town.astype(object)], axis=1)


def _as_fitted(name: str, data: Arrays) -> Any:
    return _frame(**data) if name == "table" else next(iter(data.values()))


def _point(name: str) -> Arrays:
    """Three examples that are near to the data, and on no edge of anything."""
    rng = np.random.default_rng(11)
    if name == "texts":
        return {"text": np.array(TEXTS[1:4]).reshape(-1, 1)}
    if name == "table":
        age, fare = rng.standard_normal((2, 3, 1)).astype(np.float32)
        town = np.array([["oslo"], ["riga"], ["bern"]])
        return {"age": age * 10 + 40, "fare": fare * 3 + 10, "town": town}
    x, _ = _fitting_data(name)
    rows = x[[1, len(x) // 2, len(x) - 5]] + rng.standard_normal((3, x.shape[1])) * 0.05
    if name == "holes":
        rows[0, 1] = rows[2, 3] = np.nan
    return {"X": rows.astype(np.float32)}


def main() -> None:
    """Make the files again."""
    from support.sklearn_table import NETS

    for name, source in NETS.items():
        exported(source).save(FOLDER, name)


if __name__ == "__main__":
    main()
