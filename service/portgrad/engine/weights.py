"""The weights of a net, held once and handed to each session over its graphs.

Graphs are serialised without their larger initializers, which each session gets from the net's
own buffers (`add_external_initializers`). `add_initializer` would share more, but the runtime's
transpose optimizer then runs on a weight that it believes it has transposed: see
docs/decisions/0003-shared-weights.md.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from weakref import WeakValueDictionary

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from portgrad.engine.arrays import Array

# Smaller initializers travel inside the graph: the runtime folds and fuses them anyway.
INLINE_BYTES = 1024
_SHARED = "session.use_external_initializer_file_buffers_directly"
# Dtypes that the runtime cannot hand to NumPy: they leave as float32, which holds each exactly.
WIDENED = {
    ir.DataType.BFLOAT16,
    ir.DataType.FLOAT8E4M3FN,
    ir.DataType.FLOAT8E4M3FNUZ,
    ir.DataType.FLOAT8E5M2,
    ir.DataType.FLOAT8E5M2FNUZ,
}


class Weights:
    """The larger initializers of one net as runtime values, by name.

    Args:
        model: the net.

    Attributes:
        laid_out: kernels in blocks that sessions of the net hold, by how they are made.
    """

    def __init__(self, model: ir.Model) -> None:
        self.laid_out: WeakValueDictionary[bytes, Array] = WeakValueDictionary()
        self._values: dict[str, ort.OrtValue] = {}
        for name, value in model.graph.initializers.items():
            tensor = value.const_value
            if tensor is not None and tensor.nbytes > INLINE_BYTES and _numeric(tensor):
                self._values[str(name)] = _ort_value(tensor)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def detach(self, model: ir.Model) -> list[str]:
        """Replace a graph's larger initializers by references to these; their names."""
        detached = []
        for name, value in model.graph.initializers.items():
            if name in self._values and value.const_value is not None:
                tensor = value.const_value
                value.const_value = ir.ExternalTensor(
                    "weights",
                    0,
                    tensor.nbytes,
                    tensor.dtype,
                    shape=ir.Shape(tensor.numpy().shape),
                    name=str(name),
                )
                detached.append(str(name))
        return detached

    def values(self, names: Iterable[str]) -> list[ort.OrtValue]:
        """The runtime values of names."""
        return [self._values[name] for name in names]

    def lend(self, model: ir.Model, options: ort.SessionOptions) -> dict[str, ort.OrtValue]:
        """Detach a graph's larger initializers, and have its session read these buffers.

        Returns:
            What the session reads by name, to be kept as long as it lives.
        """
        names = self.detach(model)
        held = self.values(names)
        if names:
            options.add_session_config_entry(_SHARED, "1")
            options.add_external_initializers(names, held)
        return dict(zip(names, held, strict=True))

    def joined(self, arrays: Mapping[str, Array]) -> Weights:
        """These and more, which a graph has as initializers."""
        both = copy.copy(self)
        both._values = self._values | {
            name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()
        }
        return both


def _numeric(tensor: ir.TensorProtocol) -> bool:
    return tensor.dtype != ir.DataType.STRING and tensor.dtype.bitwidth >= 8


def _ort_value(tensor: ir.TensorProtocol) -> ort.OrtValue:
    array = np.ascontiguousarray(tensor.numpy())
    if tensor.dtype in WIDENED:
        return typed(array, tensor.dtype)
    return ort.OrtValue.ortvalue_from_numpy(array)


def typed(array: Array, dtype: ir.DataType) -> ort.OrtValue:
    """A runtime value of a dtype that NumPy itself does not have."""
    bits = array.view(f"u{array.itemsize}")
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, int(dtype))
