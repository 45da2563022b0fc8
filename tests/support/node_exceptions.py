"""Node cases whose gradient does not agree with differences, or not in every operand, and why."""

from __future__ import annotations

from support.node_verdicts import DISAGREES, UNSUPPORTED

_ROI = "the derivative by roi is not built; that by X agrees"
_NAN = "outputs that are no numbers make the gradient of the y that they share NaN"

# The outcome and the reason, by case.
EXCEPTIONS: dict[str, tuple[str, str]] = {
    **{
        f"test_mod_float_edge_cases_fmod_0_{dtype}": (DISAGREES, _NAN)
        for dtype in ("float16", "float32", "float64")
    },
    **{
        f"test_resize_tf_crop_and_resize{name}": (UNSUPPORTED, _ROI)
        for name in ("", "_axes_2_3", "_axes_3_2", "_extrapolation_value")
    },
}
