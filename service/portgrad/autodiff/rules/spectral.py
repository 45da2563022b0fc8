"""Fourier transforms. Complex numbers are pairs along the last axis; real ones have it of size 1.

A transform is multiplication by F with F[k, n] = exp(-2πi kn / L), which is symmetric, so the
adjoint multiplies by its conjugate: L times the inverse transform, of a cotangent whose missing
bins (of one-sided results) are 0. Signals that were padded or cut to L are cut or padded back, and
of a real signal's cotangent the imaginary part is dropped.
"""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("DFT", since=20)
def dft(
    op: Op,
    ct: Tensor,
    input: Tensor,
    dft_length: Tensor | None,
    axis: Tensor | None,
    *,
    inverse: int,
    onesided: int,
) -> tuple[Tensor, None, None]:
    how = inverse, onesided
    if axis is not None and axis.constant is None:
        flat_ct, flat = (op.around(x, axis, whole=1) for x in (ct, input))
        return op.reshape_like(_back(op, flat_ct, flat, dft_length, 1, *how), input), None, None
    place = -2 if axis is None or axis.constant is None else int(axis.constant.reshape(()))
    return _back(op, ct, input, dft_length, place % op.rank(input), *how), None, None


def _back(
    op: Op, ct: Tensor, x: Tensor, length: Tensor | None, axis: int, inverse: int, onesided: int
) -> Tensor:
    """The cotangent of a signal that is transformed along an axis."""
    if onesided and inverse:
        return _fit(op, _from_real(op, ct, axis), x, axis)
    if onesided:
        ct = _pad(op, ct, op.size(x, axis) if length is None else _vector(op, length), axis)
    return _fit(op, _adjoint(op, ct, axis, inverse), x, axis)


@vjp("STFT")
def stft(
    op: Op,
    ct: Tensor,
    signal: Tensor,
    frame_step: Tensor,
    window: Tensor | None,
    frame_length: Tensor | None,
    *,
    onesided: int,
) -> tuple[Tensor, None, Tensor | None, None]:
    # Frame f of the result transforms window * signal[f step : f step + L].
    length = op.size(signal, 1)
    if window is not None:
        length = op.size(window, 0)
    elif frame_length is not None:
        length = _vector(op, frame_length)
    starts = op.iota(op.size(ct, 1)) * _vector(op, frame_step)
    places = op.unsqueeze(starts, 1) + op.iota(length)
    bins = _pad(op, ct, length, 2) if onesided else ct
    frames = _components(op, _adjoint(op, bins, 2, 0), signal)
    if window is None:
        return op.add_taken(signal, places, frames, 1), None, None, None
    framed = op.Gather(signal, places, axis=1)
    ct_window = op.reduce_sum(frames * framed, [0, 1, 3], keepdims=False)
    windowed = frames * op.unsqueeze(window, 1)
    ct_signal = op.add_taken(signal, places, windowed, 1)
    return ct_signal, None, op.shaped_as(ct_window, window), None


def _vector(op: Op, number: Tensor) -> Tensor:
    """A number as an int64 vector of one element."""
    known = number.constant
    if known is not None:
        return op.ints(int(known.reshape(())))
    return op.Reshape(op.as_int64(number), [1])


def _adjoint(op: Op, ct: Tensor, axis: int, inverse: int) -> Tensor:
    """The adjoint of a transform of all bins."""
    count = op.cast_like(op.size(ct, axis), ct)
    back = op.DFT(ct, None, op.index(axis), inverse=1 - inverse)
    back = op.shaped_as(back, ct)
    return back / count if inverse else back * count


def _from_real(op: Op, ct: Tensor, axis: int) -> Tensor:
    """The adjoint of making a real signal from half of its bins.

    All bins but the first and the middle one of an even number stand for two.
    """
    count = op.size(ct, axis)
    half = op.DFT(ct, None, op.index(axis), onesided=1)
    bins = op.iota(count / 2 + 1)
    single = op.Or(op.Equal(bins, 0), op.Equal(bins * 2, count))
    factor = op.Where(single, op.scalar(1.0, ct), op.scalar(2.0, ct)) / op.cast_like(count, ct)
    return half * op.unsqueeze(factor, *range(1, op.rank(ct) - axis))


def _fit(op: Op, ct: Tensor, signal: Tensor, axis: int) -> Tensor:
    """Cut or padded along an axis to the shape of a signal, and without what it has not."""
    real = _components(op, ct, signal)
    return op.pad_to(real, signal, [axis], op.ints(0))


def _components(op: Op, ct: Tensor, signal: Tensor) -> Tensor:
    """As many components as a signal has: the real one, or both."""
    if op.known_size(signal, -1) == 2:
        return ct
    return op.Slice(ct, [0], op.size(signal, -1), [-1])


def _pad(op: Op, ct: Tensor, length: Tensor, axis: int) -> Tensor:
    """Zeros for the bins that a one-sided result leaves out."""
    missing = op.Concat([0], length - op.size(ct, axis), axis=0)
    return op.ranked(op.Pad(ct, missing, None, [axis]), ct)
