"""Sparse initializers and sparse Constant nodes become dense ones: no other part knows of them."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import numpy_helper

from portgrad.errors import InvalidNet
from portgrad.graph import walk
from portgrad.graph.external import is_external

# A few bytes can claim any shape. Weights larger than this come as dense ones.
LARGEST_DENSE = 2**28


def densify(model: onnx.ModelProto) -> None:
    """Replace every sparse tensor of a model, in place.

    Raises:
        InvalidNet: `invalid_sparse_tensor` if one is malformed or too large when dense.
    """
    for graph in walk.all_graphs(model):
        for sparse in graph.sparse_initializer:
            graph.initializer.append(_dense(sparse, sparse.values.name))
        graph.ClearField("sparse_initializer")
    for node in walk.all_nodes(model):
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.SPARSE_TENSOR:
                dense = _dense(attribute.sparse_tensor, walk.called(node))
                attribute.Clear()
                attribute.name, attribute.type = "value", onnx.AttributeProto.TENSOR
                attribute.t.CopyFrom(dense)


def _dense(sparse: onnx.SparseTensorProto, name: str) -> onnx.TensorProto:
    if is_external(sparse.values) or is_external(sparse.indices):
        raise _invalid(name, "its data lie outside the model file")
    try:
        onnx.checker.check_sparse_tensor(sparse)
        values = numpy_helper.to_array(sparse.values)
        indices = numpy_helper.to_array(sparse.indices)
    except (onnx.checker.ValidationError, ValueError, TypeError) as error:
        raise _invalid(name, "its values and indices do not fit together") from error
    if math.prod(sparse.dims) * values.itemsize > LARGEST_DENSE:
        raise _invalid(name, f"it takes more than {LARGEST_DENSE} bytes when dense")
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return numpy_helper.from_array(dense, name)


def _invalid(name: str, why: str) -> InvalidNet:
    return InvalidNet(
        f"The sparse tensor `{name}` cannot be read: {why}.",
        code="invalid_sparse_tensor",
        where=f"tensor `{name}`",
        remedy="Export the net with dense tensors.",
    )
