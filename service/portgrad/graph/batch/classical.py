"""Operators of ai.onnx.ml: nearly all take a row of features for each example."""

from __future__ import annotations

from portgrad.graph.batch.states import Along
from portgrad.graph.batch.step import Rules, Step

RULES = Rules()

_OF_ROWS = (
    "LinearClassifier LinearRegressor Normalizer SVMClassifier SVMRegressor TreeEnsemble "
    "TreeEnsembleClassifier TreeEnsembleRegressor"
).split()


@RULES(*_OF_ROWS)
def of_rows(step: Step) -> Along:
    """Examples are rows. A vector is one example, whose features are no examples."""
    if step.rank(0) != 2:
        step.refuse("it does not take rows of features")
    step.batch_at(0, 0)
    return Along(0)


@RULES("Scaler", "Imputer")
def by_feature(step: Step) -> Along:
    """Elements counted through modulo the size of axis 1, at which each example starts anew."""
    if step.rank(0) < 2:
        step.refuse("it takes its vector for one example")
    step.batch_at(0, 0)
    return Along(0)


@RULES("Binarizer", "CategoryMapper", "LabelEncoder", "OneHotEncoder")
def of_one(step: Step) -> Along:
    """Elements one by one; of each, a new last axis may be made."""
    return Along(step.batch(0))


@RULES("FeatureVectorizer")
def side_by_side(step: Step) -> Along:
    """Rows of all operands, one behind the other."""
    for index in step.given():
        if step.rank(index) < 2:
            step.refuse("it takes a vector for one example")
        step.follow(index, 0)
    return Along(0)


@RULES("ArrayFeatureExtractor")
def extracted(step: Step) -> Along:
    """Places along the last axis, the same for all examples."""
    step.shared()
    rank, axis = step.rank(0), step.batch(0)
    if rank < 2 or axis == rank - 1:
        step.refuse("it takes features along the batch axis")
    return Along(axis)
