"""ai.onnx.ml: what has no slope, and what is about maps.

A tree's output jumps where an input crosses a split and is constant between; so do a threshold and
a table of values.
"""

from __future__ import annotations

from portgrad.autodiff.registry import refuse, zero
from portgrad.graph.schemas.classical import DOMAIN

zero(
    *("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"),
    domain=DOMAIN,
    warning="its trees are piecewise constant, so its gradient is zero",
)
zero("Binarizer", domain=DOMAIN, warning="it is piecewise constant, so its gradient is zero")
zero(
    *("LabelEncoder", "OneHotEncoder"),
    domain=DOMAIN,
    warning="it looks values up in a table, so its gradient is zero",
)

# Integers and text all along.
zero("CategoryMapper", domain=DOMAIN)

refuse(
    *("CastMap", "DictVectorizer", "ZipMap"),
    domain=DOMAIN,
    because="maps are not served: a ZipMap before an output port is bypassed when a net is loaded, "
    "and nets with other maps are refused then",
)
