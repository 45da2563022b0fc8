"""Words about convolutions: the adjoint in the image, and the gradient of the kernel.

Which formulation is fast was measured with onnxruntime on one core; where a number stands in the
code, the comment beside it has the times.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.infer import int_of
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.shapes import Size
from portgrad.autodiff.vocabulary.windows import Ints, Windows, WindowWords

# One product for each tap or one for all taps: on one core, in CPU-ms, 64 channels of 56² took
# 2.8 and 4.1, 128 of 28² 3.0 and 3.1, 256 of 14² 4.3 and 3.1, 512 of 7² 9.9 and 3.8; but 3 channels
# of 112² (7x7, stride 2) took 14.6 and 6.6, since a product with 3 columns is all overhead.
MANY_WINDOWS = 400
MANY_CHANNELS = 16
# Columns from which on both operands are moved. In CPU-ms, by taps and so: 64 to 32 channels of
# 256² 56 and 35, 128 to 64 of 128² 39 and 29, 64 to 64 of 128² 16.7 and 16.4; but 32 to 64 of 128²
# 7.8 and 8.1, and 4 images of 64 to 64 of 56² 10.8 and 11.0.
MANY_COLUMNS = 64
# How many channels the runtime convolves at once where it can, and the share of them that there is
# to be: 24 convolved as 32 take as long as transposed, but stay in the engine's blocks.
BLOCK = 16
FULL = 0.75
# What a node that gives the gradient of a depthwise kernel is marked with: its `Windows`. The
# engine knows a faster way to what the products below come to.
CORRELATION = "portgrad/correlation"
# The same for the gradient of a dense kernel of one tap, where it is a product for each example.
POINTWISE = "portgrad/pointwise"


class ConvolutionWords(WindowWords):
    """Words about convolutions."""

    def spread(
        self, ct: Tensor, weight: Tensor, image: Tensor, windows: Windows, group: int = 1
    ) -> Tensor:
        """The adjoint of a convolution: each window of ct times the kernel, added up in an image.

        Args:
            ct: (N, M, windows…).
            weight: (M, C / group, kernel…).
            image: (N, C, rows…), read for its shape alone.
            windows: how they lie on the image.
            group: the convolution's number of groups.
        """
        if not windows.simple:
            framed, plain = self.frame(image, windows)
            spread = self.spread(ct, weight, framed, plain, group)
            return self.unframe(spread, image, windows)
        if self._flips_well(weight, windows, group):
            return self.shaped_as(self._spread_by_flipping(ct, weight, windows, group), image)
        # The transposed convolution gives whole windows: rows that no window reaches are missing
        # (output_padding brings them), rows beyond the padding are too many (pads at the end take
        # them away). Without knowing the sizes, bring as many as can be missing, then crop.
        ends, missing, exact = self._fit(ct, image, windows)
        spread = self.ConvTranspose(
            ct,
            weight,
            strides=windows.strides,
            dilations=windows.dilations,
            pads=(*windows.begin, *ends),
            output_padding=missing,
            group=group,
        )
        return self.shaped_as(spread, image) if exact else self.crop(spread, image)

    def views(self, image: Tensor, signal: Tensor, windows: Windows) -> list[Tensor]:
        """For each tap of the kernel, the image's rows that it meets, shaped like the signal."""
        return self.counted_views(image, self.dims(signal)[2:], windows)

    def counted_views(self, image: Tensor, counts: list[Size], windows: Windows) -> list[Tensor]:
        """The same by the number of windows along each axis."""
        framed, windows = self.frame(image, windows)
        if windows.pointwise:
            return [framed]
        reached = [count * step for count, step in zip(counts, windows.strides, strict=True)]
        return [
            self._view(framed, tap, reached, counts, windows) for tap in np.ndindex(windows.kernel)
        ]

    def correlate(self, signal: Tensor, image: Tensor, windows: Windows, group: int = 1) -> Tensor:
        """The gradient of a kernel: for each tap, signal times what the tap meets in the image.

        As matrix products over shifted views: a convolution dilated by the strides takes 3 to 10
        times as long.

        Args:
            signal: (N, M, windows…).
            image: (N, C, rows…).
            windows: how they lie on the image.
            group: the convolution's number of groups.

        Returns:
            (M, C / group, kernel…); with a leading N where examples are to stay apart.
        """
        if group == 1 and self._moves_well(signal, image, windows):
            return self._product_for_each_pair(signal, image, windows)
        batch, outer, *counts = self.dims(signal)
        inner = _share(self.dims(image)[1], group)
        spots = self.product(*counts)
        views = self.views(image, signal, windows)
        many = not isinstance(spots, int) or spots > MANY_WINDOWS
        wide = not isinstance(inner, int) or inner >= MANY_CHANNELS
        each_tap = inner == 1 or (many and wide)
        if not (each_tap or self.apart):
            weight = self._product_for_all_taps(signal, views, group, inner)
            return self.reshape(weight, [outer, inner, *windows.kernel])
        left = self.reshape(signal, [batch, group, _share(outer, group), spots])
        rights = [self.reshape(view, [batch, group, inner, spots]) for view in views]
        if self.apart:
            weight = self._product_for_each_example(left, rights, each_tap=each_tap)
            return self.reshape(weight, [batch, outer, inner, *windows.kernel])
        weight = self._product_for_each_tap(left, rights, by_sums=inner == 1 and not many)
        weight = self.reshape(weight, [outer, inner, *windows.kernel])
        made = weight.value.producer()
        if made is not None and inner == 1 and group == outer:
            made.meta[CORRELATION] = windows
        elif made is not None and group == 1 and windows.unpadded and windows.pointwise:
            made.meta[POINTWISE] = True
        return weight

    def _moves_well(self, signal: Tensor, image: Tensor, windows: Windows) -> bool:
        """Whether `correlate` should move the signal by columns."""
        steady = not self.apart and all(step == 1 for step in windows.strides)
        if not steady or len(windows.kernel) != 2 or windows.kernel[1] == 1:
            return False
        _, outer, _, columns = self.dims(signal)
        _, inner, _, width = self.dims(image)
        if not (isinstance(outer, int) and isinstance(inner, int) and isinstance(columns, int)):
            return False
        read = columns + windows.reach[1] - 1 - windows.begin[1] - windows.end[1]
        exact = windows.shift is None and read == width  # a transposed one may leave columns out
        return exact and min(outer, inner) >= MANY_CHANNELS and columns >= MANY_COLUMNS

    def _product_for_each_pair(self, signal: Tensor, image: Tensor, windows: Windows) -> Tensor:
        """`correlate` with the image moved by rows and the signal by columns, zeros coming in.

        So there is a copy for each row of taps and one for each column, not one for each tap.
        """
        _, outer, rows, _ = self.dims(signal)
        moved = self._moved_by_columns(signal, windows, self.dims(image)[3])
        parts, tables = self._parts(image, signal), []
        first = _at_least(self.dims(parts[0])[1], outer)  # the operand of more channels: faster
        for part in parts:
            pairs = itertools.product(self._moved_by_rows(part, windows, rows), moved)
            products = [self._sum_of_products(*(pair if first else pair[::-1])) for pair in pairs]
            inner = self.dims(part)[1]
            channels = [inner, outer] if first else [outer, inner]
            table = self.reshape(self.Concat(*products, axis=0), [*windows.kernel, *channels])
            tables.append(table)
        # Before the axes are turned, which the runtime would do afterwards, and late.
        together = tables[0] if len(tables) == 1 else self.Concat(*tables, axis=2)
        return self.Transpose(together, perm=[3, 2, 0, 1] if first else [2, 3, 0, 1])

    def _moved_by_columns(self, signal: Tensor, windows: Windows, width: Size) -> list[Tensor]:
        """For each column of taps (N, outer, spots): what lies over the image's columns, or 0."""
        batch, outer, rows, columns = self.dims(signal)
        sides = [windows.reach[1] - 1 - pad for pad in (windows.begin[1], windows.end[1])]
        framed = self.Pad(signal, self.ints(*sides), None, [3])
        self._known(framed, signal, [rows, columns + sum(sides)])
        moved = []
        for back in range(0, windows.reach[1], windows.dilations[1]):
            start = windows.reach[1] - 1 - back
            wide = self.Slice(framed, [start], self.vector([width + start]), [3])
            self._known(wide, signal, [rows, width])
            moved.append(self.reshape(wide, [batch, outer, self.product(rows, width)]))
        return moved

    def _moved_by_rows(self, image: Tensor, windows: Windows, rows: Size) -> list[Tensor]:
        """For each row of taps (N, inner, spots): the rows that it meets."""
        above, below = windows.begin[0], windows.end[0]
        framed, _ = self.frame(image, replace(windows, begin=(above, 0), end=(below, 0)))
        batch, inner, _, width = self.dims(framed)
        views = []
        for start in range(0, windows.reach[0], windows.dilations[0]):
            view = self.Slice(framed, [start], self.vector([rows + start]), [2])
            self._known(view, framed, [rows, width])
            views.append(self.reshape(view, [batch, inner, self.product(rows, width)]))
        return views

    def _sum_of_products(self, left: Tensor, right: Tensor) -> Tensor:
        """The sum over examples of left times right turned."""
        return self.ReduceSum(self.MatMul(left, self.swap_last_two(right)), [0])

    def _parts(self, image: Tensor, signal: Tensor) -> list[Tensor]:
        """What an image was put together from by channels: the whole of it need not be kept.

        Not if a part has fewer channels than the signal, of which there is then a product for each.
        """
        node = image.value.producer()
        if node is None or node.op_type != "Concat" or node.domain or int_of(node, "axis", 0) != 1:
            return [image]
        parts = [self.wrap(value) for value in node.inputs if value is not None]
        least = self.dims(signal)[1]
        return parts if all(_at_least(self.dims(x)[1], least) for x in parts) else [image]

    def _product_for_each_tap(self, left: Tensor, rights: list[Tensor], *, by_sums: bool) -> Tensor:
        """(group, outer, inner, taps) from (N, group, outer, spots), (N, group, inner, spots)."""
        products = [
            # With one inner channel a product over few spots is overhead: half the time so.
            self.ReduceSum(left * right, [0, 3]) if by_sums else self._sum_of_products(left, right)
            for right in rights
        ]
        return self.Transpose(self.Concat(*products, axis=0), perm=[1, 2, 3, 0])

    def _product_for_all_taps(
        self, signal: Tensor, views: list[Tensor], group: int, inner: Size
    ) -> Tensor:
        """(group, outer, inner, taps), taps stacked and the batch folded into the contraction."""
        taps = len(views)
        stacked = views[0] if taps == 1 else self._stacked(views, group, inner)
        left, right = (self._rows(x, group) for x in (signal, stacked))
        product = self.MatMul(left, self.swap_last_two(right))
        if taps == 1:
            return product
        apart = self.reshape(product, [group, self.dims(left)[1], taps, inner])
        return self.Transpose(apart, perm=[0, 1, 3, 2])

    def _stacked(self, views: list[Tensor], group: int, inner: Size) -> Tensor:
        """(N, group * taps * inner, spots…)."""
        if group == 1:
            return self.Concat(*views, axis=1)
        batch, _, *counts = self.dims(views[0])
        apart = [self.reshape(view, [batch, group, inner, *counts]) for view in views]
        channels = self.product(group, len(views), inner)
        return self.reshape(self.Concat(*apart, axis=2), [batch, channels, *counts])

    def _rows(self, x: Tensor, group: int) -> Tensor:
        """(N, channels, spots…) as (group, channels of a group, all spots of all examples)."""
        batch, channels, *counts = self.dims(x)
        first = self.Transpose(x, perm=[1, 0, *range(2, self.rank(x))])
        return self.fold(first, [group, _share(channels, group)], [batch, *counts])

    def _product_for_each_example(
        self, left: Tensor, rights: list[Tensor], *, each_tap: bool
    ) -> Tensor:
        """(N, group, outer, inner, taps), or the last two axes as one."""
        if each_tap:
            inner = self.dims(rights[0])[2]
            products = [
                self.ReduceSum(left * right, [3], keepdims=1)
                if inner == 1
                else self.MatMul(left, self.swap_last_two(right))
                for right in rights
            ]
            taps = self.Concat(*(self.unsqueeze(x, 0) for x in products), axis=0)
            return self.Transpose(taps, perm=[1, 2, 3, 4, 0])
        # Taps within channels, so that nothing of the size of all weights is moved afterwards.
        batch, group, inner, spots = self.dims(rights[0])
        stacked = self.Concat(*(self.unsqueeze(x, 3) for x in rights), axis=3)
        columns = [batch, group, self.product(inner, len(rights)), spots]
        return self.MatMul(left, self.swap_last_two(self.reshape(stacked, columns)))

    def _view(
        self,
        framed: Tensor,
        tap: tuple[int, ...],
        reached: list[Size],
        counts: list[Size],
        windows: Windows,
    ) -> Tensor:
        starts = [index * gap for index, gap in zip(tap, windows.dilations, strict=True)]
        # Slice stops at the image's end, so an end that is too late is right for 0 windows too.
        ends = [start + end for start, end in zip(starts, reached, strict=True)]
        view = self.Slice(framed, starts, self.vector(ends), windows.axes, list(windows.strides))
        return self._known(view, framed, counts)

    def _known(self, x: Tensor, like: Tensor, counts: list[Size]) -> Tensor:
        """X, its shape written down as far as it is known: channels of another image, own rows."""
        known = [count if isinstance(count, int) else None for count in counts]
        x.value.shape = ir.Shape([*(like.shape or [None, None])[:2], *known])
        return x

    def _flips_well(self, weight: Tensor, windows: Windows, group: int) -> bool:
        """Whether `spread` should be a convolution with the flipped kernel.

        The runtime convolves in blocks of channels, as in the forward pass, which takes 0.5 to 0.95
        of the transposed convolution's time (4 images, 3x3, CPU-ms: 64 channels of 56² 11.1 and
        9.2, 512 of 7² 13.0 and 9.7), down to 0.2 for depthwise kernels. Groups of some channels
        have no blocks (4.1 and 4.9), and channels that do not fill theirs are wasted (3 of 256²:
        2.9 and 6.8).
        """
        pads = zip((*windows.begin, *windows.end), windows.reach * 2, strict=True)
        if any(step != 1 for step in windows.strides) or any(pad >= reach for pad, reach in pads):
            return False
        inner = self.dims(weight)[1]
        if group > 1 or not isinstance(inner, int):
            return group > 1 and inner == 1
        return inner >= FULL * -(-inner // BLOCK) * BLOCK

    def _spread_by_flipping(
        self, ct: Tensor, weight: Tensor, windows: Windows, group: int
    ) -> Tensor:
        pads = zip((*windows.begin, *windows.end), windows.reach * 2, strict=True)
        return self.Conv(
            ct,
            self._turned(self._flipped(weight, windows), windows, group),
            dilations=windows.dilations,
            pads=[reach - 1 - pad for pad, reach in pads],
            group=group,
        )

    def _flipped(self, weight: Tensor, windows: Windows) -> Tensor:
        """The kernel with its taps in the reverse order."""
        if all(taps == 1 for taps in windows.kernel):
            return weight
        last, before_first = [-1] * len(windows.kernel), [-(2**31)] * len(windows.kernel)
        return self.shaped_as(self.Slice(weight, last, before_first, windows.axes, last), weight)

    def _turned(self, weight: Tensor, windows: Windows, group: int) -> Tensor:
        """(M, C / group, kernel…) as (C, M / group, kernel…)."""
        if group > 1:  # and one channel in each
            outer = self.dims(weight)[0]
            return self.reshape(weight, [group, _share(outer, group), *windows.kernel])
        return self.Transpose(weight, perm=[1, 0, *windows.axes])

    def _fit(self, ct: Tensor, image: Tensor, windows: Windows) -> tuple[Ints, Ints, bool]:
        """Pads at the end, output padding, and whether they give the image's exact rows."""
        ends, missing, exact = [], [], True
        for axis, (stride, reach) in enumerate(zip(windows.strides, windows.reach, strict=True)):
            count, rows = self.dims(ct)[2 + axis], self.dims(image)[2 + axis]
            if isinstance(count, int) and isinstance(rows, int):
                excess = (count - 1) * stride + reach - windows.begin[axis] - rows
                ends.append(max(excess, 0))
                missing.append(max(-excess, 0))
            else:
                ends.append(windows.end[axis])
                missing.append(stride - 1)
                exact = exact and stride == 1
        return tuple(ends), tuple(missing), exact


def _at_least(size: Size, least: Size) -> bool:
    """Whether a number is known to be no less than another."""
    return isinstance(size, int) and isinstance(least, int) and size >= least


def _share(size: Size, group: int) -> Size:
    """The channels of one group."""
    if isinstance(size, int):
        return size // group
    return size if group == 1 else size / group
