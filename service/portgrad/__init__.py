"""The gradient of any ONNX net: `portgrad.load(path_or_bytes).gradient(data)`.

Importing this package is cheap; the runtime is loaded with the first net.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portgrad.engine import Gradients, Net, Outputs, load

__all__ = ["Gradients", "Net", "Outputs", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'portgrad' has no attribute {name!r}")
    from portgrad import engine  # noqa: PLC0415

    return getattr(engine, name)
