"""Products, convolutions, pools, normalisations, sampling and spectra."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812

from support.torch_table.args import Args, Function, Result


def _gemm(a: Args) -> Result:
    left, right = (a[0].T if a.transA else a[0]), (a[1].T if a.transB else a[1])
    product = a.alpha * (left @ right)
    return product + a.beta * a[2] if a.has(2) else product


def _einsum(a: Args) -> Result:
    equation = a.equation.replace(" ", "")
    terms = equation.partition("->")[0].split(",")
    if any(len(set(term)) != len(term) for term in terms if "..." not in term):
        return None  # torch takes no repeated index of different sizes, and sums otherwise
    return torch.einsum(equation, *(a[i] for i in range(len(a))))


def _padded(a: Args, x: torch.Tensor, kernel: Sequence[int], value: float = 0.0) -> torch.Tensor:
    """An image with the operator's padding around it."""
    flat = [n for pair in _pads(a, x, kernel)[::-1] for n in pair]
    return F.pad(x, flat, value=value)


def _pads(a: Args, x: torch.Tensor, kernel: Sequence[int]) -> list[tuple[int, int]]:
    count = len(kernel)
    if a.auto_pad in {"NOTSET", None}:
        pads = a.pads or [0] * 2 * count
        return list(zip(pads[:count], pads[count:], strict=True))
    if a.auto_pad == "VALID":
        return [(0, 0)] * count
    found = []
    for k, size in enumerate(x.shape[2:]):
        stride, reach = _at(a.strides, k), (kernel[k] - 1) * _at(a.dilations, k) + 1
        whole = max(0, (-(-size // stride) - 1) * stride + reach - size)
        less, more = whole // 2, whole - whole // 2
        found.append((less, more) if a.auto_pad == "SAME_UPPER" else (more, less))
    return found


def _at(values: Sequence[int] | None, place: int) -> int:
    return 1 if values is None else values[place]


_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def _conv(a: Args) -> Result:
    x, w = a[0], a[1]
    if not x.numel():
        return None
    image = _padded(a, x, w.shape[2:])
    call = _CONV[w.ndim - 2]
    return call(image, w, a.get(2), a.strides or 1, 0, a.dilations or 1, a.group)


def _conv_transpose(a: Args) -> Result:
    x, w = a[0], a[1]
    if a.output_shape or a.auto_pad not in {"NOTSET", "VALID"}:
        return None  # torch has no such way to say how large the output is
    count = w.ndim - 2
    pads = a.pads or [0] * 2 * count
    whole = _TRANSPOSED[count](
        x, w, a.get(2), a.strides or 1, 0, a.output_padding or 0, a.group, a.dilations or 1
    )
    for k in range(count):
        whole = whole.narrow(2 + k, pads[k], whole.shape[2 + k] - pads[k] - pads[k + count])
    return whole


def _average_pool(a: Args) -> Result:
    kernel, count = a.kernel_shape, len(a.kernel_shape)
    pads = _pads(a, a[0], kernel)
    if a.dilations or not a[0].numel() or any(low != high for low, high in pads):
        return None  # torch pads evenly, and has no dilations
    if a.ceil_mode and a.count_include_pad:
        return None
    if str(a.auto_pad).startswith("SAME") and any(
        k < s for k, s in zip(kernel, a.strides or kernel, strict=True)
    ):
        return None  # the runtime's windows start elsewhere
    padding = [low for low, _ in pads]
    how = bool(a.ceil_mode), bool(a.count_include_pad)
    return _AVERAGE[count](a[0], kernel, a.strides or 1, padding, *how)


def _max_pool(a: Args) -> Result:
    if not a[0].numel() or len(a.row.output_names) > 1:
        return None
    image = _padded(a, a[0], a.kernel_shape, -math.inf)
    call = _MAX[len(a.kernel_shape)]
    return call(image, a.kernel_shape, a.strides or 1, 0, a.dilations or 1, bool(a.ceil_mode))


def _lp_pool(a: Args) -> Result:
    if a.dilations or a.ceil_mode or len(a.kernel_shape) > 2:
        return None
    image = _padded(a, a[0], a.kernel_shape)
    if len(a.kernel_shape) == 1:
        return F.lp_pool1d(image.abs(), float(a.p), a.kernel_shape[0], _at(a.strides, 0))
    return F.lp_pool2d(image.abs(), float(a.p), a.kernel_shape, a.strides or 1)


def _max_unpool(a: Args) -> Result:
    if a.has(2) or a.pads or a[0].ndim != 4:
        return None
    # ONNX counts through the whole of the output, torch through each channel.
    size = [s * n for s, n in zip(a.strides, a[0].shape[2:], strict=True)]
    index = a[1] % math.prod(size)
    return F.max_unpool2d(a[0], index, a.kernel_shape, a.strides, output_size=size)


def _global(function: str) -> Function:
    def call(a: Args) -> Result:
        axes = list(range(2, a[0].ndim))
        if function == "lp":
            return torch.linalg.vector_norm(a[0], a.p, axes, keepdim=True)
        return a[0].mean(axes, True) if function == "mean" else a[0].amax(axes, True)

    return call


def _batch_norm(a: Args) -> Result:
    x, scale, bias, mean, var = (a[i] for i in range(5))
    if not a.training_mode:
        return F.batch_norm(x, mean, var, scale, bias, False, 0.0, a.epsilon)
    # torch updates its own buffers, without gradients: they are written out.
    axes = [axis for axis in range(x.ndim) if axis != 1]
    now = x.mean(axes), x.var(axes, correction=0)
    y = F.batch_norm(x, None, None, scale, bias, True, 0.0, a.epsilon)
    kept = [
        old * a.momentum + new * (1 - a.momentum) for old, new in zip((mean, var), now, strict=True)
    ]
    return y, *kept


def _layer_norm(a: Args) -> Result:
    if len(a.row.output_names) > 1:
        return None
    shape = a[0].shape[a.axis :]
    scale = a[1].broadcast_to(shape)
    bias = a[2].broadcast_to(shape) if a.has(2) else None
    return F.layer_norm(a[0], shape, scale, bias, a.epsilon)


def _rms_norm(a: Args) -> Result:
    shape = a[0].shape[a.axis :]
    return F.rms_norm(a[0], shape, a[1].broadcast_to(shape), a.epsilon)


def _spread(a: Args) -> Result:
    axes = [axis % a[0].ndim for axis in (a.axes or [0, 2, 3])]
    mean = a[0].mean(axes, True)
    return (a[0] - mean) / (a[0].var(axes, correction=0, keepdim=True) + 1e-18).sqrt()


def _local_response(a: Args) -> Result:
    return F.local_response_norm(a[0], a.size, a.alpha, a.beta, a.bias) if a.size % 2 else None


def _grid_sample(a: Args) -> Result:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(a.mode, a.mode)
    if a[0].ndim not in {4, 5} or (a[0].ndim == 5 and mode == "bicubic"):
        return None
    return F.grid_sample(a[0], a[1], mode, a.padding_mode, bool(a.align_corners))


_MODES = {("linear", 3): "linear", ("linear", 4): "bilinear", ("linear", 5): "trilinear"}


def _resize(a: Args) -> Result:
    """torch's modes that sample as ONNX does: half pixels or aligned corners, sizes given."""
    x = a[0]
    known = {"half_pixel": False, "pytorch_half_pixel": False, "align_corners": True}
    way = a.coordinate_transformation_mode
    mode = {("cubic", 4): "bicubic"}.get((a.mode, x.ndim)) or _MODES.get((a.mode, x.ndim))
    sizes = (
        a.ints(3)
        if a.has(3)
        else [int(n * s) for n, s in zip(x.shape, a[2].tolist(), strict=False)]
    )
    odd = a.exclude_outside or a.axes or a.cubic_coeff_a != -0.75
    odd = odd or a.keep_aspect_ratio_policy != "stretch"
    if mode is None or odd or way not in known or tuple(sizes[:2]) != tuple(x.shape[:2]):
        return None
    if a.antialias or (way == "align_corners" and a.has(2)) or a.has(2):
        return _scaled(a, mode, known[way])
    return F.interpolate(x, size=sizes[2:], mode=mode, align_corners=known[way])


def _scaled(a: Args, mode: str, aligned: bool) -> Result:
    """By scales, which torch keeps for the coordinates on demand."""
    if not a.has(2) or a.antialias or aligned:
        return None
    scales = [float(s) for s in a[2][2:]]
    return F.interpolate(a[0], scale_factor=scales, mode=mode, align_corners=False)


def _affine_grid(a: Args) -> Result:
    return F.affine_grid(a[0], a.ints(1), align_corners=bool(a.align_corners))


def _dft(a: Args) -> Result:
    axis = (a.ints(2)[0] if a.has(2) else -2) % a[0].ndim
    length = a.ints(1)[0] if a.has(1) else None
    if a.inverse and a.onesided:
        half = torch.complex(a[0][..., 0], a[0][..., 1])
        return torch.fft.irfft(half, length, axis).unsqueeze(-1)
    if a[0].shape[-1] == 2:
        x = torch.view_as_complex(a[0].contiguous())
        y = (torch.fft.ifft if a.inverse else torch.fft.fft)(x, length, axis)
    elif a.onesided:
        y = torch.fft.rfft(a[0][..., 0], length, axis)
    else:
        y = (torch.fft.ifft if a.inverse else torch.fft.fft)(a[0][..., 0], length, axis)
    return torch.view_as_real(y.resolve_conj())


def _stft(a: Args) -> Result:
    window = a.get(2)
    length = a.ints(3)[0] if a.has(3) else len(a[2])
    real = a[0].shape[-1] == 1
    x = a[0][..., 0] if real else torch.view_as_complex(a[0].contiguous())
    window = torch.ones(length, dtype=torch.float64) if window is None else window
    y = torch.stft(
        x, length, a.ints(1)[0], length, window, False, "reflect", False, bool(a.onesided), True
    )
    return torch.view_as_real(y.transpose(1, 2))


def _attention(a: Args) -> Result:
    plain = a[0].ndim == 4 and not a.softcap and len(a.row.output_names) == 1
    plain = plain and not any(a.has(i) for i in (4, 5, 6)) and a.qk_matmul_output_mode == 0
    window = (a.left_window_size or -1, a.right_window_size or -1) == (-1, -1)
    hidden = a.has(3) and a[3].dtype == torch.bool and not a[3].any(-1).all()
    if not plain or not window or hidden or (a.is_causal and a.has(3)):
        return None
    bias = a.get(3)
    return F.scaled_dot_product_attention(
        a[0], a[1], a[2], bias, 0.0, bool(a.is_causal), scale=a.scale, enable_gqa=True
    )


LAYERS: dict[str, Function] = {
    "MatMul": lambda a: a[0] @ a[1],
    "Gemm": _gemm,
    "Einsum": _einsum,
    "Det": lambda a: torch.linalg.det(a[0]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "AveragePool": _average_pool,
    "MaxPool": _max_pool,
    "LpPool": _lp_pool,
    "MaxUnpool": _max_unpool,
    "GlobalAveragePool": _global("mean"),
    "GlobalMaxPool": _global("max"),
    "GlobalLpPool": _global("lp"),
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": lambda a: F.instance_norm(a[0], None, None, a[1], a[2], eps=a.epsilon),
    "LayerNormalization": _layer_norm,
    "GroupNormalization": lambda a: F.group_norm(a[0], a.num_groups, a[1], a[2], a.epsilon),
    "RMSNormalization": _rms_norm,
    "MeanVarianceNormalization": _spread,
    "LRN": _local_response,
    "GridSample": _grid_sample,
    "AffineGrid": _affine_grid,
    "Resize": _resize,
    "DFT": _dft,
    "STFT": _stft,
    "Attention": _attention,
}
