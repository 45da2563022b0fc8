"""ai.onnx.ml: features that are picked and joined."""

from __future__ import annotations

import numpy as np

from rules.rows.classical import row
from support.rows import normal

ROWS = [
    row("ArrayFeatureExtractor", normal(2, 5), np.array([3, 0, 3])),
    row("ArrayFeatureExtractor", normal(5), np.array([[1], [2]]), id="vector"),
    row("ArrayFeatureExtractor", normal(2, 3, 4), np.array([2]), id="ranks"),
    row("FeatureVectorizer", normal(2, 3), normal(2, 2, seed=4), inputdimensions=[3, 2]),
    row(
        "FeatureVectorizer", normal(2, 3), normal(2, 2), id="cut-and-padded", inputdimensions=[2, 4]
    ),
    row("FeatureVectorizer", normal(3), normal(2), id="vectors", inputdimensions=[3, 2]),
    row("FeatureVectorizer", normal(2, 3, 2), id="ranks", inputdimensions=[6]),
]
