"""ai.onnx.ml, whose kernels compute in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from support.rig import Row

NAN = float("nan")


def _x(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def _row(op: str, *operands: np.ndarray, id: str = "", **attributes: Any) -> Row:
    expected = attributes.pop("expected", None)
    classifier = op.endswith("Classifier")
    return Row(
        op,
        operands,
        attributes,
        id=id,
        outputs=2 if classifier else 1,
        of=(1,) if classifier else None,
        domain="ai.onnx.ml",
        single_only=True,
        expected=expected,
    )


def _floats(count: int, seed: int = 5) -> list[float]:
    return _x(count, seed=seed).tolist()


# -- features --------------------------------------------------------------------------------------

_MOVING = [
    _row("ArrayFeatureExtractor", _x(2, 5), np.array([3, 0, 3])),
    _row("ArrayFeatureExtractor", _x(5), np.array([[1], [2]]), id="vector"),
    _row("ArrayFeatureExtractor", _x(2, 3, 4), np.array([2]), id="ranks"),
    _row("FeatureVectorizer", _x(2, 3), _x(2, 2, seed=4), inputdimensions=[3, 2]),
    _row("FeatureVectorizer", _x(2, 3), _x(2, 2), id="cut-and-padded", inputdimensions=[2, 4]),
    _row("FeatureVectorizer", _x(3), _x(2), id="vectors", inputdimensions=[3, 2]),
    _row("FeatureVectorizer", _x(2, 3, 2), id="ranks", inputdimensions=[6]),
]

_SCALING = [
    _row("Scaler", _x(2, 3), offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, -1.0]),
    _row("Scaler", _x(2, 3), id="one", offset=[1.0], scale=[0.5]),
    _row("Scaler", _x(3), id="vector", offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, -1.0]),
    _row("Scaler", _x(2, 3, 2), id="ranks", offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, -1.0]),
    _row(
        "Imputer", np.array([[1.0, 0.0, 3.0], [0.0, 5.0, 6.0]]), id="value",
        imputed_value_floats=[7.0, 8.0, 9.0], replaced_value_float=0.0,
        expected={0: [[1, 0, 1], [0, 1, 1]]},
    ),
    _row(
        "Imputer", np.array([[1.0, NAN], [NAN, 5.0]]), id="nan",
        imputed_value_floats=[7.0], replaced_value_float=NAN, expected={0: [[1, 0], [0, 1]]},
    ),
    _row(
        "Imputer", np.array([[1.0, 2.0], [3.0, 5.0]]), id="too-many",
        imputed_value_floats=[7.0, 8.0, 9.0], replaced_value_float=2.0,
        expected={0: [[1, 0], [1, 1]]},
    ),
    _row(
        "Imputer", np.array([[[1.0, 2.0]], [[2.0, 5.0]]]), id="ranks",
        imputed_value_floats=[7.0], replaced_value_float=2.0,
        expected={0: [[[1, 0]], [[0, 1]]]},
    ),
    *(_row("Normalizer", _x(3, 4), id=norm, norm=norm) for norm in ("MAX", "L1", "L2")),
    *(_row("Normalizer", _x(4), id=f"{norm}-vector", norm=norm) for norm in ("MAX", "L1", "L2")),
    *(
        _row("Normalizer", np.zeros((1, 2)), id=f"{norm}-of-0", norm=norm, expected={0: [[0, 0]]})
        for norm in ("L1", "L2")
    ),
    _row("Normalizer", np.array([[-2.0, 0.0]]), id="MAX-of-0", expected={0: [[1, 1]]}),
    _row("Normalizer", np.array([[2.0, 2.0, -4.0]]), id="MAX-tie", expected={0: [[0.5, 0.5, 0.5]]}),
]  # fmt: skip

# -- linear models ---------------------------------------------------------------------------------

_THREE = {"coefficients": _floats(12), "intercepts": [0.1, -0.2, 0.3]}
_ONE = {"coefficients": _floats(4), "intercepts": [0.1]}
_PROBABLE = {"coefficients": (_x(12) * 0.03).tolist(), "intercepts": [0.3, 0.2, 0.8]}
_TRANSFORMS = ("SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")

_LINEAR = [
    _row("LinearRegressor", _x(2, 4), **_ONE),
    _row("LinearRegressor", _x(4), id="vector", **_ONE),
    _row("LinearRegressor", _x(2, 4), id="targets", targets=3, **_THREE),
    _row("LinearRegressor", _x(2, 4), id="no-intercepts", targets=3, coefficients=_floats(12)),
    _row("LinearRegressor", _x(2, 4), id="one-logistic", post_transform="LOGISTIC", **_ONE),
    *(
        _row("LinearRegressor", _x(2, 4), id=kind, targets=3, post_transform=kind, **_THREE)
        for kind in _TRANSFORMS
    ),
    _row("LinearRegressor", _x(2, 4), id="PROBIT", targets=3, post_transform="PROBIT", **_PROBABLE),
    _row(
        "LinearRegressor", np.array([[0.0], [1.0]]), id="PROBIT-ends", coefficients=[1.0],
        post_transform="PROBIT", expected={0: [[np.inf], [np.inf]]},
    ),
    _row("LinearClassifier", _x(2, 4), classlabels_ints=[1, 2, 3], **_THREE),
    _row("LinearClassifier", _x(4), id="vector", classlabels_ints=[1, 2, 3], **_THREE),
    _row(
        "LinearClassifier", _x(2, 4), id="text", classlabels_strings=["a", "b", "c"],
        multi_class=1, **_THREE,
    ),
    *(
        _row(
            "LinearClassifier", _x(2, 4), id=kind, classlabels_ints=[1, 2, 3],
            post_transform=kind, **_THREE,
        )
        for kind in _TRANSFORMS
    ),
    *(
        _row(
            "LinearClassifier", _x(2, 4), id=f"two-{kind}", classlabels_ints=[0, 1],
            post_transform=kind, **_ONE,
        )
        for kind in ("NONE", *_TRANSFORMS)
    ),
    _row(
        "LinearClassifier", _x(2, 4), id="PROBIT", classlabels_ints=[1, 2, 3],
        post_transform="PROBIT", **_PROBABLE,
    ),
    _row(
        "LinearClassifier", _x(2, 4), id="two-text", classlabels_strings=["no", "yes"],
        post_transform="LOGISTIC", **_ONE,
    ),
]  # fmt: skip

# -- support vector machines -----------------------------------------------------------------------

_KERNELS = {
    "LINEAR": [0.0, 0.0, 0.0],
    "POLY": [0.5, 1.0, 3.0],
    "RBF": [0.3, 0.0, 3.0],
    "SIGMOID": [0.4, 0.2, 3.0],
}


def _vectors(kind: str, count: int, features: int = 3) -> dict[str, Any]:
    return {
        "kernel_type": kind,
        "kernel_params": _KERNELS[kind],
        "support_vectors": _floats(count * features, seed=8),
    }


def _machine(kind: str, *per_class: int) -> dict[str, Any]:
    classes, count = len(per_class), sum(per_class)
    return {
        "classlabels_ints": list(range(classes)),
        "coefficients": _floats((classes - 1) * count),
        "rho": _floats(classes * (classes - 1) // 2, seed=6),
        "vectors_per_class": list(per_class),
        **_vectors(kind, count),
    }


def _probable(kind: str, *per_class: int) -> dict[str, Any]:
    pairs = len(per_class) * (len(per_class) - 1) // 2
    likely = {"prob_a": (-0.5 - np.arange(pairs) / 4).tolist(), "prob_b": [0.1] * pairs}
    return {**_machine(kind, *per_class), **likely}


_TWO = _machine("RBF", 2, 1)
_SVM = [
    *(
        _row(
            "SVMRegressor", _x(2, 3), id=kind, coefficients=_floats(4), rho=[0.3], n_supports=4,
            **_vectors(kind, 4),
        )
        for kind in _KERNELS
    ),
    _row(
        "SVMRegressor", _x(2, 3), id="RBF-narrow", coefficients=_floats(4), rho=[0.3],
        n_supports=4, kernel_type="RBF", kernel_params=[4.0, 0.0, 3.0],
        support_vectors=[*(_x(2, 3).ravel() + 0.3).tolist(), *[3.0] * 3, *[-3.0] * 3],
    ),
    _row(
        "SVMRegressor", _x(2, 3), id="square", coefficients=_floats(4), rho=[0.3], n_supports=4,
        kernel_type="POLY", kernel_params=[0.5, 1.0, 2.0], support_vectors=_floats(12, seed=8),
    ),
    _row(
        "SVMRegressor", _x(2, 3), id="no-vectors", coefficients=_floats(3), rho=[0.3],
        kernel_params=[0.0] * 3,
    ),
    _row(
        "SVMRegressor", _x(3), id="vector", coefficients=_floats(4), rho=[0.3], n_supports=4,
        **_vectors("RBF", 4),
    ),
    *(_row("SVMClassifier", _x(2, 3), id=kind, **_machine(kind, 2, 3)) for kind in _KERNELS),
    *(
        _row("SVMClassifier", _x(2, 3), id=f"two-{kind}", post_transform=kind, **_TWO)
        for kind in _TRANSFORMS
    ),
    *(
        _row("SVMClassifier", _x(2, 3), id=f"pairs-{kind}", post_transform=kind,
             **_machine("RBF", 2, 1, 3))
        for kind in ("NONE", *_TRANSFORMS)
    ),
    _row("SVMClassifier", _x(2, 3), id="two-probable", **_probable("RBF", 2, 3)),
    _row("SVMClassifier", _x(3, 3), id="probable", **_probable("RBF", 2, 1, 3)),
    _row("SVMClassifier", _x(3, 3), id="four-probable", **_probable("POLY", 2, 1, 3, 2)),
    _row(
        "SVMClassifier", _x(2, 3), id="probable-SOFTMAX", post_transform="SOFTMAX",
        **_probable("RBF", 2, 1, 3),
    ),
    _row(
        "SVMClassifier", _x(2, 3), id="no-vectors", classlabels_strings=["a", "b", "c"],
        coefficients=_floats(9), rho=[0.3], kernel_params=[0.0] * 3, post_transform="LOGISTIC",
    ),
]  # fmt: skip

ROWS = [*_MOVING, *_SCALING, *_LINEAR, *_SVM]
