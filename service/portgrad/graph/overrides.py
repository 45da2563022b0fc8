"""Parameters whose values come with a call."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir


def overridable(model: ir.Model, names: Iterable[str]) -> ir.Model:
    """The net with some parameters as inputs, after its own input ports.

    Nothing is known of their values then, so nothing can be folded that depends on them.

    Args:
        model: a normalised net, which stays as it was and shares its tensors with the new one.
        names: names of initializers of the main graph.
    """
    copy = model.clone()
    copy.meta.update(model.meta)
    for name in names:
        value = copy.graph.initializers.pop(name)
        value.const_value = None
        copy.graph.inputs.append(value)
    return copy
