"""The part of a net that some of its values are computed by."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from portgrad.graph.pruning import prune


def cut(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A net that ends at some values: it has the input ports of the given one and these as outputs.

    Args:
        model: a net; it stays as it was and shares its tensors with the new one.
        names: values that the main graph computes, and initializers, which stay although none of
            these may need them; other names are passed over.
    """
    copy = model.clone()
    copy.meta.update(model.meta)
    ends = [value for node in copy.graph for value in node.outputs if value.name in names]
    copy.graph.outputs.clear()
    copy.graph.outputs.extend(ends)
    held = [value for name, value in copy.graph.initializers.items() if name in names]
    prune(copy)
    for value in held:
        copy.graph.initializers[str(value.name)] = value
    return copy
