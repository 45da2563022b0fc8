"""Node cases whose gradient does not agree with differences, or not in every operand, and why."""

from __future__ import annotations

from support.node_verdicts import DISAGREES, UNSUPPORTED

_MASKED = (
    "differentiated through its function body, where the softmax of a row that is masked whole is "
    "no number: replaced in the forward pass, but 0 times NaN is NaN"
)
_ROI = "the derivative by roi is not built; that by X agrees"
_NAN = "outputs that are no numbers make the gradient of the y that they share NaN"

# The outcome and the reason, by case.
EXCEPTIONS: dict[str, tuple[str, str]] = {
    **{
        f"test_attention_{name}": (DISAGREES, _MASKED)
        for name in (
            "23_boolmask_fullymasked_row_nan_robustness",
            "23_fullymasked_qk_matmul_output_mode3_zero",
            "24_fullymasked_qk_matmul_output_mode3_zero",
            "24_qk_matmul_output_mode3_softmax_precision",
            "4d_causal_nonpad_negative_offset_structural_empty",
            "4d_causal_padded_kv_bf16",
            "causal_boolmask_nan_robustness",
            "local_window_gqa_rank4_mask",
        )
    },
    **{
        f"test_mod_float_edge_cases_fmod_0_{dtype}": (DISAGREES, _NAN)
        for dtype in ("float16", "float32", "float64")
    },
    **{
        f"test_resize_tf_crop_and_resize{name}": (UNSUPPORTED, _ROI)
        for name in ("", "_axes_2_3", "_axes_3_2", "_extrapolation_value")
    },
}
