"""Resize: float32 and exact differences throughout, since onnxruntime has no double kernel.

onnxruntime departs from the reference evaluator for align_corners where the scale leaves a fraction
of an element (linear-align_corners-down, cubic-align_corners-down): the gradient follows it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from support.rig import Row

_X = np.random.default_rng(9).standard_normal((1, 2, 4, 5))


def _f(*values: float) -> np.ndarray:
    return np.asarray(values, np.float32)


def _i(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


def _row(
    id: str,
    *,
    x: np.ndarray = _X,
    roi: np.ndarray | None = None,
    scales: np.ndarray | None = None,
    sizes: np.ndarray | None = None,
    fixed: bool = True,
    **attributes: Any,
) -> Row:
    operands = [roi, scales, sizes]
    places = tuple(i for i, o in enumerate(operands, 1) if o is not None) if fixed else ()
    return Row(
        "Resize",
        [x, *operands],
        attributes,
        id=id,
        constants=places,
        wrt=(0,),
        multilinear=True,
        fixed=(3,),  # onnx's shape inference refuses a vector of open length
    )


_SHRUNK, _GROWN = _f(1, 1, 0.6, 0.7), _f(1, 1, 1.3, 2.5)
_COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
)
_ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
_CROP = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 9.0}
_HW = [2, 3]
_ROI = _f(0, 0, 0.1, 0.2, 1, 1, 0.7, 1.3)


def _x(*shape: int) -> np.ndarray:
    return np.random.default_rng(9).standard_normal(shape)


def _r(*values: float) -> np.ndarray:
    return np.asarray(values, np.float64)


def _by_roi(
    id: str,
    *,
    roi: np.ndarray = _r(0.12, 0.4, 0.85, 0.83),  # noqa: B008
    x: np.ndarray = _X,
    **given: Any,
) -> Row:
    """With respect to the region too, which is not linear: coordinates keep off the pixels."""
    given = {"axes": _HW, **_CROP, **given}
    operands = [given.pop("scales", None), given.pop("sizes", None)]
    return Row(
        "Resize",
        [x, roi, *operands],
        {name: value for name, value in given.items() if value is not None},
        id=id,
        constants=tuple(i for i, o in enumerate(operands, 2) if o is not None),
        single_only=True,
        fixed=(1,),
    )


ROWS = [
    _by_roi("linear-by-roi", sizes=_i(3, 3), mode="linear"),
    _by_roi("linear-by-roi-axes", sizes=_i(2, 2), mode="linear", axes=[3, -2]),
    _by_roi("linear-by-roi-scales", scales=_f(1.2, 0.73), mode="linear"),
    _by_roi("linear-by-roi-outside", roi=_r(-0.2, 0.33, 0.6, 1.4), sizes=_i(3, 3), mode="linear"),
    _by_roi("linear-by-roi-one", sizes=_i(1, 2), mode="linear"),
    _by_roi("linear-by-roi-one-stays", sizes=_i(4, 3), mode="linear"),
    _by_roi("linear-by-roi-all-stay", sizes=_i(4, 5), mode="linear"),
    _by_roi("cubic-by-roi", x=_x(1, 2, 3, 3), sizes=_i(2, 2), mode="cubic"),
    _by_roi(
        "cubic-by-roi-coefficient",
        x=_x(1, 2, 3, 3),
        sizes=_i(2, 2),
        mode="cubic",
        cubic_coeff_a=-0.5,
    ),
    _by_roi(
        "cubic-by-roi-exclude-outside",
        x=_x(1, 2, 3, 3),
        sizes=_i(2, 2),
        mode="cubic",
        exclude_outside=1,
    ),
    _by_roi("policy-by-roi", sizes=_i(3, 9), mode="linear", keep_aspect_ratio_policy="not_larger"),
    _by_roi("matrix-by-roi", x=_x(4, 5), sizes=_i(3, 3), mode="linear", axes=None),
    _by_roi("axis-by-roi", roi=_r(0.33, 0.93), sizes=_i(3), mode="linear", axes=[3]),
    *(
        _row(f"{mode}-{how}-{way}", scales=s, mode=mode, coordinate_transformation_mode=how)
        for mode in ("linear", "cubic")
        for how in _COORDINATES
        for way, s in (("down", _SHRUNK), ("up", _GROWN))
    ),
    *(
        _row(
            f"nearest-{how}-{rounding}",
            scales=_f(1, 1, 1.6, 0.7),
            coordinate_transformation_mode=how,
            nearest_mode=rounding,
        )
        for how in ("half_pixel", "align_corners", "asymmetric")
        for rounding in _ROUNDINGS
    ),
    # Whole factors, which are sums over blocks.
    *(
        _row(
            f"blocks-{how}-{rounding}",
            scales=_f(1, 1, 2, 3),
            coordinate_transformation_mode=how,
            nearest_mode=rounding,
        )
        for how in ("half_pixel", "asymmetric")
        for rounding in ("round_prefer_floor", "floor")
    ),
    _row("blocks-sizes", sizes=_i(1, 2, 8, 5)),
    _row("same", sizes=_i(1, 2, 4, 5)),
    *(
        _row(f"{mode}-antialias-{way}", scales=s, mode=mode, antialias=1)
        for mode in ("linear", "cubic")
        for way, s in (("down", _SHRUNK), ("up", _GROWN))
    ),
    _row("cubic-exclude-outside", scales=_GROWN, mode="cubic", exclude_outside=1),
    _row("cubic-coefficient", scales=_GROWN, mode="cubic", cubic_coeff_a=-0.5),
    *(
        _row(
            f"{mode}-crop-{kind}",
            roi=_ROI,
            scales=_GROWN,
            mode=mode,
            fixed=kind == "fixed",
            **_CROP,
        )
        for mode in ("nearest", "linear", "cubic")
        for kind in ("fixed", "dynamic")
    ),
    # onnxruntime copies where no size changes, and does not crop an axis whose scale is 1.
    *(
        _row(f"{mode}-crop-{what}", roi=_ROI, mode=mode, fixed=fixed, **_CROP, **given)
        for mode in ("nearest", "linear", "cubic")
        for fixed in (True, False)
        for what, given in (
            (f"one-stays-{fixed}", {"sizes": _i(1, 2, 4, 3)}),
            (f"all-stay-{fixed}", {"sizes": _i(1, 2, 4, 5)}),
            (f"one-grows-by-less-{fixed}", {"scales": _f(1, 1, 1.2, 1.65)}),
            (f"all-grow-by-less-{fixed}", {"scales": _f(1, 1, 1.2, 1.15)}),
        )
    ),
    _row(
        "crop-axes",
        roi=_f(0.1, 1.0, 0.7, 0.2),
        sizes=_i(6, 3),
        mode="linear",
        axes=[3, -2],
        **_CROP,
    ),
    *(
        _row(
            f"{policy}-{mode}",
            sizes=_i(9, 8),
            mode=mode,
            keep_aspect_ratio_policy=policy,
            axes=[2, 3],
        )
        for policy in ("not_larger", "not_smaller")
        for mode in ("nearest", "linear", "cubic")
    ),
    _row(
        "policy-every-axis",
        x=_x(3, 5),
        sizes=_i(7, 8),
        mode="linear",
        keep_aspect_ratio_policy="not_larger",
    ),
    _row(
        "policy-crop",
        roi=_f(0.1, 0.2, 0.7, 0.9),
        sizes=_i(9, 8),
        mode="linear",
        axes=[2, 3],
        keep_aspect_ratio_policy="not_smaller",
        coordinate_transformation_mode="tf_crop_and_resize",
    ),
    _row("scales-dynamic", scales=_GROWN, mode="linear", fixed=False),
    _row("sizes-dynamic", sizes=_i(1, 2, 7, 3), mode="cubic", fixed=False),
    _row("sizes-dynamic-axes", sizes=_i(7, 3), axes=[2, 3], fixed=False),
    _row(
        "policy-dynamic",
        sizes=_i(9, 8),
        mode="linear",
        axes=[2, 3],
        fixed=False,
        keep_aspect_ratio_policy="not_larger",
    ),
    # Other ranks and layouts.
    _row("vector", x=_x(5), scales=_f(1.7)),
    _row("matrix", x=_x(3, 5), scales=_f(1.7, 0.8), mode="linear"),
    _row("channels-last", x=_x(1, 3, 4, 2), scales=_f(1, 1.7, 0.8, 1), mode="linear"),
    _row("volume", x=_x(1, 1, 2, 3, 2), scales=_f(1, 1, 1.5, 1.7, 2.0), mode="linear"),
    _row("every-axis", x=_x(2, 3, 2), scales=_f(1.5, 0.7, 2.5)),
]
