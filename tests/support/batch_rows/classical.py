"""Rows of the batch table: operators of ai.onnx.ml."""

from __future__ import annotations

_TREE = """nodes_treeids = [0, 0, 0], nodes_nodeids = [0, 1, 2], nodes_featureids = [0, 0, 0],
    nodes_values = [0.5, 0.0, 0.0], nodes_modes = ["BRANCH_LEQ", "LEAF", "LEAF"],
    nodes_truenodeids = [1, 0, 0], nodes_falsenodeids = [2, 0, 0]"""
_LEAVES = "{0}_treeids = [0, 0], {0}_nodeids = [1, 2], {0}_ids = [0, 0], {0}_weights = [1.0, 2.0]"
_LINES = "coefficients = [1.0, 2.0, 0.5, -1.0], intercepts = [0.5, 0.25]"
_VECTORS = """support_vectors = [1.0, 2.0, 0.5, -1.0], rho = [0.25], kernel_type = "RBF",
    kernel_params = [0.5, 0.0, 3.0], coefficients = [1.0, -2.0]"""


def _row(op: str, attributes: str, outputs: str = "y") -> tuple[str, str, int]:
    return (op, f"(float[1,2] x) => (y) {{ {outputs} = ai.onnx.ml.{op}<{attributes}>(x) }}", 0)


ROWS = [
    _row("LinearRegressor", f"targets = 2, {_LINES}"),
    _row("LinearClassifier", f"classlabels_ints = [3, 4], {_LINES}", "label, y"),
    _row("SVMRegressor", f"n_supports = 2, {_VECTORS}"),
    _row(
        "SVMClassifier",
        f"vectors_per_class = [1, 1], classlabels_ints = [3, 4], {_VECTORS}",
        "label, y",
    ),
    _row("Normalizer", 'norm = "L2"'),
    _row("Scaler", "offset = [1.0, 2.0], scale = [2.0, 3.0]"),
    _row("Imputer", "replaced_value_float = 0.0, imputed_value_floats = [1.0, 2.0]"),
    _row("Binarizer", "threshold = 0.0"),
    _row("LabelEncoder", "keys_floats = [0.0], values_floats = [1.0]"),
    _row("OneHotEncoder", "cats_int64s = [0, 1]"),
    _row("TreeEnsembleRegressor", f"n_targets = 1, {_TREE}, {_LEAVES.format('target')}"),
    _row(
        "TreeEnsembleClassifier",
        f"classlabels_int64s = [0, 1], {_TREE}, {_LEAVES.format('class')}",
        "label, y",
    ),
    (
        *_row(
            "TreeEnsemble",
            """n_targets = 1, tree_roots = [0], nodes_featureids = [0],
            nodes_splits = float[1] {0.5}, nodes_modes = uint8[1] {0}, nodes_truenodeids = [0],
            nodes_falsenodeids = [1], nodes_trueleafs = [1], nodes_falseleafs = [1],
            leaf_targetids = [0, 0], leaf_weights = float[2] {1.0, 2.0}""",
        ),
        21,
        5,
    ),
    (
        "scaled maps",
        """(float[1,2,3] x) => (y) {
            y = ai.onnx.ml.Scaler<offset = [1.0, 2.0], scale = [2.0, 3.0]>(x) }""",
        0,
    ),
    (
        "categories",
        """(int64[1,2] x) => (y) {
            s = ai.onnx.ml.CategoryMapper<cats_strings = ["a", "b"], cats_int64s = [0, 1]>(x)
            y = ai.onnx.ml.CategoryMapper<cats_strings = ["a", "b"], cats_int64s = [0, 1]>(s) }""",
        0,
    ),
    (
        "features side by side",
        """(float[1,2] x, float[1,3] x2, float[1,1] w) => (y) {
            y = ai.onnx.ml.FeatureVectorizer<inputdimensions = [2, 3, 1]>(x, x2, w) }""",
        0,
    ),
    (
        "extracted features",
        "(float[1,4] x) => (y) { y = ai.onnx.ml.ArrayFeatureExtractor(x, [2, 0]) }",
        0,
    ),
]
