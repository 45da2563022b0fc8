"""Words about functions of one number near 0, where 1 and what is added to it would cancel."""

from __future__ import annotations

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.shapes import ShapeWords


class ElementaryWords(ShapeWords):
    """Words about functions of one number near 0."""

    def log1p(self, x: Tensor) -> Tensor:
        """log(1 + x), to the last bits also where x is small.

        What rounding takes from u = 1 + x is x - (u - 1), and the logarithm moves by 1 / u of it.
        """
        u = x + 1.0
        lost = (x - (u - 1.0)) / u
        return self.Log(u) + self.Where(self.IsNaN(lost), self.scalar(0.0, x), lost)

    def expm1(self, x: Tensor) -> Tensor:
        """exp(x) - 1 for x up to about 1, to the last bits also where x is small."""
        half = self.Tanh(x * 0.5)
        return half * 2.0 / (1.0 - half)
