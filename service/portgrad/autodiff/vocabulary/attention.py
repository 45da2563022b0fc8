"""Words about attention: heads, scores and weights, rotary positions.

Inside, tensors have the axes (batch, heads, length, size); queries have length S, keys T.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.indexing import IndexingWords
from portgrad.autodiff.vocabulary.reductions import ReductionWords


class AttentionWords(IndexingWords, ReductionWords):
    """Words about attention."""

    def heads(self, x: Tensor, count: int) -> Tensor:
        """(batch, length, count · size) as (batch, count, length, size)."""
        hidden = self.known_size(x, 2)
        size = -1 if hidden is None else hidden // count
        return self.Transpose(self.Reshape(x, [0, 0, count, size]), perm=[0, 2, 1, 3])

    def joined_heads(self, x: Tensor) -> Tensor:
        """(batch, heads, length, size) as (batch, length, heads · size)."""
        return self.Reshape(self.Transpose(x, perm=[0, 2, 1, 3]), [0, 0, -1])

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        terms: Iterable[Tensor | None],
        scale: float | None,
        *,
        softcap: float = 0.0,
        sink: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Scaled dot-product attention.

        Args:
            q: queries, (batch, heads, S, size).
            k: keys, (batch, heads, T, size).
            v: values, (batch, heads, T, other size).
            terms: what is added to the scores after capping; each broadcasts to them.
            scale: of the products; 1/√size where it is None or 0.
            softcap: c in c·tanh(scores / c), which bounds them; 0 for none.
            sink: one more score for each head, which takes weight and gives nothing.

        Returns:
            The attended values, the scores and their softmax.
        """
        scores = self.MatMul(q, self.swap_last_two(k)) * self._scale(q, scale)
        if softcap:
            scores = self.Tanh(scores / softcap) * softcap
        for term in terms:
            scores = scores if term is None else scores + term
        weights = self._softmax(scores, sink)
        return self.MatMul(weights, v), scores, weights

    def _scale(self, q: Tensor, scale: float | None) -> Tensor:
        size = self.known_size(q, 3)
        if scale:
            return self.scalar(scale, q)
        if size is not None:
            return self.scalar(1 / math.sqrt(size), q)
        return self.Reciprocal(self.Sqrt(self.cast_like(self.size(q, 3), q)))

    def _softmax(self, scores: Tensor, sink: Tensor | None) -> Tensor:
        if sink is None:
            return self.Softmax(scores, axis=-1)
        column = self.Slice(scores, [0], [1], [3])
        column = self.Expand(self.Reshape(sink, [1, -1, 1, 1]), self.Shape(column))
        whole = self.Softmax(self.Concat(column, scores, axis=3), axis=-1)
        return self.shaped_as(self.Slice(whole, [1], [2**63 - 1], [3]), scores)

    def rotated(self, x: Tensor, cos: Tensor, sin: Tensor, *, interleaved: bool) -> Tensor:
        """Pairs of the last axis turned by an angle; what is beyond the angles stays.

        Pairs are (i, i + R/2), or (2i, 2i + 1) where interleaved, of the first R elements; cos and
        sin have R/2 on their last axis and broadcast to x on the others.
        """
        half, end = self.size(cos, -1), 2**63 - 1
        whole = half + half
        if interleaved:
            real = self.Slice(x, [0], whole, [3], [2])
            imaginary = self.Slice(x, [1], whole, [3], [2])
        else:
            real, imaginary = self.Slice(x, [0], half, [3]), self.Slice(x, half, whole, [3])
        turned = [real * cos - imaginary * sin, real * sin + imaginary * cos]
        if interleaved:
            pairs = self.Concat(*(self.unsqueeze(part, 4) for part in turned), axis=4)
            turned = [self.Reshape(pairs, [0, 0, 0, -1])]
        known, rotary = self.known_size(x, 3), self.known_size(cos, -1)
        if known is None or rotary is None or known != 2 * rotary:
            turned.append(self.Slice(x, whole, [end], [3]))
        return self.shaped_as(self.Concat(*turned, axis=3), x)
