"""scikit-learn's logistic regression as skl2onnx writes it; its gradient is a formula."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from support.exporters.sample import Exported, Made, Sample


def made() -> Iterator[Made]:
    """The one net."""
    yield Made("skl2onnx", "logistic_regression", logistic_regression)


def logistic_regression() -> Exported:
    rng = np.random.default_rng(23)
    data = rng.standard_normal((60, 4)).astype(np.float32)
    label = np.digitize(data @ [1.0, -2.0, 0.5, 1.0] + data[:, 0] * data[:, 1], [-1, 1])
    net = LogisticRegression().fit(data, label)
    model = to_onnx(net, data[:1], options={"zipmap": False})
    x = data[:2]
    p = net.predict_proba(x.astype(np.float64))
    seed = rng.standard_normal(p.shape).astype(np.float32)
    slope = (p * (seed - (p * seed).sum(1, keepdims=True))) @ net.coef_
    [port] = model.graph.input
    [_, output] = model.graph.output
    sample = Sample(
        {port.name: x},
        {output.name: seed},
        {output.name: p.astype(np.float32)},
        {port.name: slope.astype(np.float32)},
        {},
    )
    return Exported(model, sample)
