"""Words about windows that slide over the spatial axes of an image: convolutions and pools.

Along one axis, window o reads the rows o·stride - begin + tap·dilation for each tap of the kernel;
rows outside of the image are padding. An image is (N, channels, rows…), and what its windows give
is a signal (N, channels, windows…). Three sums over (window, tap, row) that meet this equation
serve everything: a convolution fixes the window, its adjoint the row, and the gradient of its
kernel the tap (see `convolutions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.reductions import ReductionWords
from portgrad.errors import Unsupported

Ints: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """How windows lie over the spatial axes of an image, one number for each axis.

    Args:
        kernel: taps of a window.
        strides: rows from a window to the next.
        dilations: rows from a tap to the next.
        begin: rows of padding before the image; rows left out where negative.
        end: rows of padding after it.
        ragged: whether the last windows may reach beyond the padding (ceil_mode).
        shift: the padding before and after as int64 vectors, where only the run can tell it; then
            `begin` and `end` are 0.
    """

    kernel: Ints
    strides: Ints
    dilations: Ints
    begin: Ints
    end: Ints
    ragged: bool = False
    shift: tuple[Tensor, Tensor] | None = None

    @property
    def reach(self) -> Ints:
        """Rows from the first tap of a window to its last, both counted."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def axes(self) -> list[int]:
        """The spatial axes."""
        return list(range(2, 2 + len(self.kernel)))

    @property
    def unpadded(self) -> bool:
        """Whether there is certainly no padding."""
        return self.shift is None and self.begin == self.end == self.nowhere

    @property
    def pointwise(self) -> bool:
        """Whether there is a window of one tap for each row."""
        return all(step == 1 for step in (*self.kernel, *self.strides))

    @property
    def simple(self) -> bool:
        """Whether operators take the padding as their attribute."""
        return self.shift is None and min((*self.begin, *self.end), default=0) >= 0

    @property
    def nowhere(self) -> Ints:
        """No padding."""
        return (0,) * len(self.kernel)


class WindowWords(ReductionWords):
    """Words about windows."""

    def kernel(self, weight: Tensor, kernel_shape: Sequence[int] | None) -> Ints:
        """The spatial sizes of a convolution's weight."""
        sizes = kernel_shape or self.dims(weight)[2:]
        if not all(isinstance(size, int) for size in sizes):
            raise Unsupported(
                f"the spatial size of the kernel {weight.name!r} is not known before the net runs",
                remedy="give the node its kernel_shape, or the weight a fixed shape",
            )
        return tuple(int(size) for size in sizes if isinstance(size, int))

    def windows(
        self,
        image: Tensor,
        signal: Tensor,
        kernel: Sequence[int],
        *,
        strides: Sequence[int] | None,
        dilations: Sequence[int] | None,
        pads: Sequence[int] | None,
        auto_pad: str,
        ragged: bool = False,
        centred: bool = False,
    ) -> Windows:
        """The windows of a convolution or a pool, from its attributes.

        With `centred`, as in pools, windows that need less than the whole image leave rows out at
        both of its ends (a negative padding), else at the end alone.
        """
        rank = len(kernel)
        self.few(*kernel)
        fixed = tuple(pads or ()) if auto_pad == "NOTSET" else ()
        begin, end = fixed[:rank] or (0,) * rank, fixed[rank:] or (0,) * rank
        ones = (1,) * rank
        steps, gaps = tuple(strides or ones), tuple(dilations or ones)
        windows = Windows(tuple(kernel), steps, gaps, begin, end, ragged)
        if not auto_pad.startswith("SAME"):
            return windows
        # With stride 1 there are as many windows as rows.
        totals = [r - 1 if s == 1 else None for r, s in zip(windows.reach, steps, strict=True)]
        upper = auto_pad == "SAME_UPPER"
        return self.share_padding(windows, image, signal, totals, upper=upper, centred=centred)

    def share_padding(
        self,
        windows: Windows,
        image: Tensor,
        signal: Tensor,
        totals: Sequence[int | None],
        *,
        upper: bool,
        extra: Sequence[int] | None = None,
        centred: bool = False,
    ) -> Windows:
        """Windows whose padding is what they need beyond the image, shared between both ends.

        Args:
            windows: their other properties.
            image: where they lie.
            signal: what they give.
            totals: the padding of each axis where the attributes alone tell it.
            upper: whether an odd row goes to the end.
            extra: rows that the image has by `output_padding`.
            centred: see `windows`.
        """
        more = extra or windows.nowhere
        counts, rows = self.dims(signal)[2:], self.dims(image)[2:]
        geometry = zip(totals, counts, rows, windows.strides, windows.reach, more, strict=True)
        found = [
            (count - 1) * stride + reach + add - row
            if total is None and isinstance(count, int) and isinstance(row, int)
            else total
            for total, count, row, stride, reach, add in geometry
        ]
        known = [total for total in found if total is not None]
        if len(known) < len(found):
            options = {"upper": upper, "centred": centred}
            return self._share_at_run_time(windows, image, signal, more, **options)
        needed = [total if centred else max(0, total) for total in known]
        begin = tuple(int((total if upper else total + 1) / 2) for total in needed)  # towards 0
        end = tuple(total - before for total, before in zip(needed, begin, strict=True))
        return replace(windows, begin=begin, end=end)

    def frame(self, image: Tensor, windows: Windows) -> tuple[Tensor, Windows]:
        """The image with its padding written out, and the windows that lie on it."""
        if windows.unpadded:
            return image, windows
        framed = self.Pad(image, self.paddings(windows), None, windows.axes)
        batch, channels, *rows = image.shape or [None] * self.rank(image)
        grown = [
            row + before + after if isinstance(row, int) and windows.shift is None else None
            for row, before, after in zip(rows, windows.begin, windows.end, strict=True)
        ]
        framed.value.shape = ir.Shape([batch, channels, *grown])
        bare = windows.nowhere
        return framed, replace(windows, begin=bare, end=bare, shift=None)

    def unframe(self, framed: Tensor, image: Tensor, windows: Windows) -> Tensor:
        """The adjoint of `frame`: what belongs to padding is cut off, what was cut off is 0."""
        bare = self.Pad(framed, -self.paddings(windows), None, windows.axes)
        return self.shaped_as(bare, image)

    def paddings(self, windows: Windows) -> Tensor:
        """The padding before and after each axis, as Pad takes it."""
        if windows.shift is not None:
            return self.Concat(*windows.shift, axis=0)
        return self.ints(*windows.begin, *windows.end)

    def crop(self, image: Tensor, like: Tensor) -> Tensor:
        """The part of an image that has the rows of another one, from the first row on."""
        axes = list(range(2, self.rank(like)))
        rows = self.Shape(like, start=2)
        return self.shaped_as(self.Slice(image, [0] * len(axes), rows, axes), like)

    def _share_at_run_time(
        self,
        windows: Windows,
        image: Tensor,
        signal: Tensor,
        extra: Sequence[int],
        *,
        upper: bool,
        centred: bool,
    ) -> Windows:
        geometry = zip(windows.reach, extra, windows.strides, strict=True)
        beyond = self.ints(*(reach + add - stride for reach, add, stride in geometry))
        reached = self.Shape(signal, start=2) * self.ints(*windows.strides) + beyond
        total = reached - self.Shape(image, start=2)
        needed = total if centred else self.Max(total, self.index(0))
        begin = (needed if upper else needed + 1) / 2
        return replace(windows, shift=(begin, needed - begin))
