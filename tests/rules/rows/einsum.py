"""Einsum."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(2)
_SIZES = dict(zip("bijkhqdBIJ", (2, 3, 4, 5, 2, 3, 4, 2, 3, 4), strict=True))


def _row(equation: str, *shapes: tuple[int, ...], id: str = "", **options: object) -> Row:
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    sizes = shapes or [tuple(_SIZES[label] for label in term) for term in terms]
    arrays = [_RNG.standard_normal(shape) for shape in sizes]
    return Row("Einsum", arrays, {"equation": equation}, id=id or equation, **options)  # type: ignore[arg-type]


ROWS = [
    _row("ij->ji"),
    _row("ij->i"),
    _row("ij->"),
    _row("ij"),
    _row("ji"),
    _row("ij,jk->ik"),
    _row("ij,jk"),
    _row("i,i->"),
    _row("i,j->ij"),
    _row("ij,k->"),
    _row("ij,ij->ij"),
    _row("bhqd,bhkd->bhqk"),
    _row("bij , bjk -> bik"),
    _row("IJ,Jj->Ij", (3, 4), (4, 2)),
    _row("ii->i"),
    _row("ii->"),
    _row("iij->ij"),
    _row("iii->i"),
    _row("iij,jk->k"),
    _row("ii,ij->j"),
    _row("bi,ij,jk->bk"),
    _row("i,ij,j->"),
    _row(",ij->ij", (), (3, 4)),
    _row("ij,->i", (3, 4), ()),
    _row(",->", (), ()),
    _row("...ij,...jk->...ik", (2, 3, 4), (2, 4, 5)),
    _row("...ij,...jk", (2, 3, 4), (2, 4, 5)),
    _row("...ij,...jk->...ik", (2, 1, 3, 4), (1, 5, 4, 2), id="ellipsis-broadcast"),
    _row("b...i->b...", (2, 3, 4, 5)),
    _row("...i,j->...j", (2, 3, 4), (5,)),
    _row("...->...", (2, 3)),
    _row("i...j->...", (2, 3, 4)),
    _row("ij,jk->ik", (3, 1), (4, 5), id="size-1-by-label"),
    _row("ij,jk->ijk", (3, 4), (1, 5), id="size-1-kept"),
    _row("ij->i", (3, 0), id="empty"),
]
