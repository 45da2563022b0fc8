"""Rows of com.microsoft, whose kernels are in float32 but for a few."""

from support.rows import rows_of

DOMAIN = "com.microsoft"

row = rows_of(DOMAIN, single_only=True, engine="onnxruntime")
