"""Convolutions: each kind's gradient in its image is a convolution of the other kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portgrad.autodiff.binding import Call, schema_of_node
from portgrad.autodiff.registry import Rule, lookup, vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.windows import Windows


@vjp("Conv")
def conv(
    op: Op,
    ct: Tensor,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    *,
    group: int,
    kernel_shape: Sequence[int] | None,
    **geometry: Any,
) -> tuple[Tensor, Tensor, Tensor | None]:
    kernel = op.kernel(w, kernel_shape)
    windows = op.windows(image=x, signal=ct, kernel=kernel, **geometry)
    # After a batch normalisation, ct is a plain cotangent times a factor for each channel, which is
    # cheaper to multiply a kernel with.
    plain, factor = op.unscaled(ct)
    scaled, ct_w = w, _weight(op, op.correlate(plain, x, windows, group), w)
    ct_b = _bias(op, plain, b)
    if factor is not None:
        of_kernels = op.unsqueeze(factor, *range(1, op.rank(w)))
        scaled, ct_w = w * of_kernels, ct_w * of_kernels
        ct_b = None if ct_b is None else ct_b * factor
    return op.spread(plain, scaled, x, windows, group), ct_w, ct_b


def summed_product(op: Op, ct: Tensor, y: Tensor) -> Tensor | None:
    """The sum of ct * y for each channel, by the cotangent of the kernel that made y.

    Σ ct (W * x + b) = Σ W ct_w + b ct_b, where ct_w and ct_b are the cotangents for ct. So the
    backward pass does not read y, and the runtime can fold what comes after into the convolution.

    Returns:
        A vector with an element for each channel; None where y is no convolution, or the cotangent
        of its kernel is not there anyway, which would cost more than it saves.
    """
    node = y.value.producer()
    if node is None or (node.op_type, node.domain, node.graph) != ("Conv", "", op.graph):
        return None
    schema = schema_of_node(node, {"": op.opset})
    if op.apart or node.inputs[1] not in op.wanted or schema is None:
        return None
    rule = lookup("", "Conv", schema.since_version)
    assert isinstance(rule, Rule)
    call = Call(op, node, schema, [ct])
    (_, w, *b), (_, ct_w, *ct_b) = call.given(), rule(call)
    assert isinstance(w, Tensor)
    assert isinstance(ct_w, Tensor)
    product = op.reduce_sum(w * ct_w, range(1, op.rank(w)), keepdims=False)
    for bias, ct_bias in zip(b, ct_b, strict=True):
        if isinstance(bias, Tensor) and isinstance(ct_bias, Tensor):
            product = product + bias * ct_bias
    return product


@vjp("ConvTranspose")
def conv_transpose(
    op: Op,
    ct: Tensor,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    *,
    auto_pad: str,
    dilations: Sequence[int] | None,
    group: int,
    kernel_shape: Sequence[int] | None,
    output_padding: Sequence[int] | None,
    output_shape: Sequence[int] | None,
    pads: Sequence[int] | None,
    strides: Sequence[int] | None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    # The roles are swapped: windows lie over the output, and x is what each of them is times.
    kernel = op.kernel(w, kernel_shape)
    windows = op.windows(
        image=ct,
        signal=x,
        kernel=kernel,
        strides=strides,
        dilations=dilations,
        pads=pads,
        auto_pad="NOTSET" if auto_pad == "NOTSET" else "VALID",
    )
    extra = output_padding or windows.nowhere
    totals: list[int | None] = [None] * len(kernel)
    if not output_shape:  # SAME: the output has as many rows as x times the stride
        geometry = zip(windows.reach, extra, windows.strides, strict=True)
        totals = [max(0, reach + add - stride) for reach, add, stride in geometry]
    if output_shape or auto_pad.startswith("SAME"):
        upper = auto_pad == "SAME_UPPER"
        windows = op.share_padding(windows, ct, x, totals, upper=upper, extra=extra)
    whole = all(add < stride for add, stride in zip(extra, windows.strides, strict=True))
    ct_x = _gathered(op, ct, w, x, windows, group, exact=whole and not output_shape)
    ct_w = _weight(op, op.correlate(x, ct, windows, group), w)
    return ct_x, ct_w, _bias(op, ct, b)


def _gathered(
    op: Op, ct: Tensor, w: Tensor, x: Tensor, windows: Windows, group: int, *, exact: bool
) -> Tensor:
    """The convolution of ct; rows that x has not, beyond an output padding, are cut off."""
    if not windows.simple:
        ct, windows = op.frame(ct, windows)
    whole = op.Conv(
        ct,
        w,
        strides=windows.strides,
        dilations=windows.dilations,
        pads=(*windows.begin, *windows.end),
        group=group,
    )
    return op.shaped_as(whole, x) if exact else op.crop(whole, x)


def _bias(op: Op, ct: Tensor, b: Tensor | None) -> Tensor | None:
    if b is None:
        return None
    return op.sum_to_channels(ct, b)


def _weight(op: Op, ct: Tensor, w: Tensor) -> Tensor:
    return ct if op.apart else op.shaped_as(ct, w)
