"""com.microsoft: normalisation. Kernels are in float32, but for SimplifiedLayerNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from rules.rows.contrib import row as _row
from support.rig import Row
from support.rows import normal as _x


def _simplified(id: str, *operands: np.ndarray, outputs: int = 1, **more: Any) -> Row:
    return Row("SimplifiedLayerNormalization", operands, more, id=id, outputs=outputs)


_X, _SKIP = _x(2, 3, 4), _x(2, 3, 4, seed=4)
_GAMMA, _BETA, _BIAS = (_x(4, seed=seed) for seed in (5, 6, 7))
_IDS = np.array([[1, 2, 0], [3, 3, 1]], np.int32)
_SEGMENTS = np.array([[0, 1, 0], [1, 1, 0]], np.int32)
_PLACES = np.array([[5, 1, 1], [0, 2, 4]], np.int32)
_MASK = np.array([[1, 1, 0], [1, 1, 1]], np.int32)
_TABLES = _x(5, 4, seed=8), _x(6, 4, seed=9), _x(2, 4, seed=10)

SKIPS = [
    _row("SkipLayerNormalization", "plain", _X, _SKIP, _GAMMA),
    _row("SkipLayerNormalization", "all", _X, _SKIP, _GAMMA, _BETA, _BIAS, epsilon=0.1),
    _row("SkipLayerNormalization", "sum", _X, _SKIP, _GAMMA, _BETA, outputs="1001"),
    _row("SkipLayerNormalization", "shared", _X, _SKIP[:1], _GAMMA, _BETA),
    _row("SkipLayerNormalization", "flat-shared", _X, _SKIP[0], _GAMMA, _BETA),
    _row("SkipSimplifiedLayerNormalization", "plain", _X, _SKIP, _GAMMA),
    _row("SkipSimplifiedLayerNormalization", "all", _X, _SKIP, _GAMMA, _BIAS, outputs="1001",
         epsilon=0.1),
    _row("SkipSimplifiedLayerNormalization", "flat", _X[0], _SKIP[0], _GAMMA),
]  # fmt: skip

# The kernel wants to know the sizes of tables.
EMBEDDINGS = [
    _row("EmbedLayerNormalization", "plain", _IDS, _SEGMENTS, *_TABLES, _GAMMA, _BETA, outputs=2,
         of=(0,), fixed=(2, 3, 4, 5, 6)),
    _row("EmbedLayerNormalization", "no-segments", _IDS, None, *_TABLES[:2], None, _GAMMA, _BETA,
         outputs=2, of=(0,), fixed=(2, 3, 5, 6)),
    _row("EmbedLayerNormalization", "all", _IDS, _SEGMENTS, *_TABLES, _GAMMA, _BETA, _MASK,
         _PLACES, outputs=3, of=(0, 2), fixed=(2, 3, 4, 5, 6), epsilon=0.1),
    _row("EmbedLayerNormalization", "shared-places", _IDS, _SEGMENTS, *_TABLES, _GAMMA, _BETA,
         None, _PLACES[:1], outputs=2, of=(0,), fixed=(2, 3, 4, 5, 6)),
]  # fmt: skip

_CODES = [np.random.default_rng(seed).integers(0, 256, (rows, 4)).astype(np.uint8)
          for seed, rows in ((11, 5), (12, 6), (13, 2))]  # fmt: skip
_VECTORS = [np.random.default_rng(seed).integers(0, 256, 4).astype(np.uint8) for seed in (14, 15)]
_SCALES = [np.array(scale) for scale in (3.0, 2.0, 4.0, 0.01, 0.02)]
_ZEROS = [np.array(zero, np.uint8) for zero in (128, 100, 90, 60, 128)]


def _quantised(id: str, *, segments: bool, masked: bool = False) -> Row:
    scales, zeros, tables = [*_SCALES], [*_ZEROS], [*_CODES]
    if not segments:
        scales[2] = zeros[2] = tables[2] = None
    operands = (_IDS, _SEGMENTS if segments else None, *tables, *_VECTORS,
                _MASK if masked else None, *scales, *zeros)  # fmt: skip
    fixed = tuple(i for i, x in enumerate(operands) if i > 1 and x is not None)
    return _row("QEmbedLayerNormalization", id, *operands, outputs=2, of=(0,), fixed=fixed)


ROWS = [
    *SKIPS,
    *EMBEDDINGS,
    _quantised("segments", segments=True),
    _quantised("masked", segments=False, masked=True),
    _row("GatedRMSNorm", "silu", _X, _GAMMA, _SKIP),
    _row("GatedRMSNorm", "swish", _X, _GAMMA, _SKIP, activation="swish"),
    _row("GatedRMSNorm", "heads", _x(2, 3, 8), _GAMMA, _x(2, 3, 8, seed=4), activation="sigmoid",
         epsilon=0.1),
    _simplified("plain", _X, _GAMMA),
    _simplified("axis", _X, _x(3, 4, seed=5), axis=1, epsilon=0.1),
    Row("SimplifiedLayerNormalization", (_X, _GAMMA), id="deviation", outputs=2, single_only=True),
]  # fmt: skip
