"""Values that are known before a net runs: read, and put into a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir


def hold(graph: ir.Graph, name: str, array: np.ndarray[Any, Any]) -> ir.Value:
    """One more initializer of a graph, of a name that is free."""
    tensor = ir.Tensor(array, name=name)
    kind, shape = ir.TensorType(tensor.dtype), ir.Shape(array.shape)
    value = ir.Value(name=name, type=kind, shape=shape, const_value=tensor)
    graph.register_initializer(value)
    return value


def constant_value(
    value: ir.Value | None, *, allow_parameters: bool = False
) -> np.ndarray[Any, Any] | None:
    """A value that cannot change from run to run, else None.

    Sees through Constant and Identity nodes. Initializers count if they are no parameters
    (integers, booleans, strings), or with `allow_parameters`.
    """
    while value is not None:
        if value.const_value is not None and value.is_initializer():
            floating = value.dtype is not None and value.dtype.is_floating_point()
            return None if floating and not allow_parameters else value.const_value.numpy()
        node = value.producer()
        if node is None:
            return None
        if node.op_type == "Constant":
            tensor = ir.convenience.get_const_tensor(value)
            return None if tensor is None else tensor.numpy()
        if node.op_type != "Identity":
            return None
        value = node.inputs[0]
    return None
