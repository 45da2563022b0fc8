"""Types and shapes of ai.onnx.ml's operators where onnx's own inference is silent or, for the
features that are extracted from a vector, wrong.

The functions become part of onnx's schemas, so that inference goes on through such nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import onnx
from onnx import TensorProto, helper

DOMAIN = "ai.onnx.ml"

Context: TypeAlias = "onnx.shape_inference.InferenceContext"
Dim: TypeAlias = int | str | None
# The type of each output of a node; None where nothing can be told.
Outputs: TypeAlias = Sequence[onnx.TypeProto | None]


def register() -> None:
    """Give onnx's schemas the inference that they lack."""
    for (name, version), outputs in _OUTPUTS.items():
        schema = onnx.defs.get_schema(name, version, DOMAIN)
        schema.set_type_and_shape_inference_function(_inference(outputs))
        onnx.defs.deregister_schema(name, version, DOMAIN)
        onnx.defs.register_schema(schema)


def _inference(outputs: Callable[[Context], Outputs]) -> Callable[[Context], None]:
    def infer(context: Context) -> None:
        for index, kind in enumerate(outputs(context)[: context.get_num_outputs()]):
            if kind is not None:
                context.set_output_type(index, kind)

    return infer


# -- what is known of a node -----------------------------------------------------------------------


def _shape(context: Context, index: int = 0) -> list[Dim] | None:
    """The shape of an operand."""
    kind = context.get_input_type(index) if context.has_input(index) else None
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    return [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
        for dim in kind.tensor_type.shape.dim
    ]


def _attribute(context: Context, name: str) -> Any:
    found = context.get_attribute(name)
    return None if found is None else helper.get_attribute_value(found)


def _count(context: Context, *names: str) -> int:
    """The length of the first of some attributes that has elements."""
    return next((len(held) for name in names if (held := _attribute(context, name))), 0)


def _labels(context: Context) -> int:
    return TensorProto.STRING if _attribute(context, "classlabels_strings") else TensorProto.INT64


def _tensor(element: int, shape: Sequence[Dim] | None) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(element, shape)


def _rows(context: Context, columns: Dim) -> onnx.TypeProto:
    """Floats, a row for each example; a vector is one example. An absurd size is not known."""
    if isinstance(columns, int) and columns < 0:
        columns = None
    return _tensor(TensorProto.FLOAT, [_examples(context), columns])


def _examples(context: Context) -> Dim:
    shape = _shape(context)
    return None if not shape else 1 if len(shape) == 1 else shape[0]


# -- operators -------------------------------------------------------------------------------------


def _same(context: Context) -> Outputs:
    return [context.get_input_type(0) if context.has_input(0) else None]


def _same_in_float(context: Context) -> Outputs:
    return [_tensor(TensorProto.FLOAT, _shape(context))]


def _extracted(context: Context) -> Outputs:
    kind, shape, places = context.get_input_type(0), _shape(context), _shape(context, 1)
    if kind is None or not shape:
        return [kind]
    known = [size for size in places or () if isinstance(size, int)]
    count = math.prod(known) if places is not None and len(known) == len(places) else None
    lead = shape[:-1] if len(shape) > 1 else [1]
    return [_tensor(kind.tensor_type.elem_type, [*lead, count])]


def _vectorized(context: Context) -> Outputs:
    return [_rows(context, sum(_attribute(context, "inputdimensions") or ()))]


def _linear_regressor(context: Context) -> Outputs:
    targets = _attribute(context, "targets")
    return [_rows(context, 1 if targets is None else targets)]


def _svm_regressor(context: Context) -> Outputs:
    return [_rows(context, 1)]


def _svm_classifier(context: Context) -> Outputs:
    classes = _count(context, "classlabels_strings", "classlabels_ints")
    voted = sum(_attribute(context, "vectors_per_class") or ()) > 0
    pairs = voted and classes > 2 and not _count(context, "prob_a")
    columns = classes * (classes - 1) // 2 if pairs else max(classes, 2) if voted else classes
    label = _tensor(_labels(context), [_examples(context)])
    return [label, _rows(context, columns)]


def _trees(context: Context) -> Outputs:
    return [_rows(context, _attribute(context, "n_targets"))]


_OUTPUTS: dict[tuple[str, int], Callable[[Context], Outputs]] = {
    ("ArrayFeatureExtractor", 1): _extracted,
    ("FeatureVectorizer", 1): _vectorized,
    ("Imputer", 1): _same,
    ("LinearRegressor", 1): _linear_regressor,
    ("Normalizer", 1): _same_in_float,
    ("Scaler", 1): _same_in_float,
    ("SVMClassifier", 1): _svm_classifier,
    ("SVMRegressor", 1): _svm_regressor,
    ("TreeEnsembleRegressor", 1): _trees,
}
