"""Pipelines of scikit-learn, converted by skl2onnx: files that were made once."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import portgrad
from portgrad.errors import InvalidRequest
from support.pipelines import FOLDER, ROUGH, STEP, Pipeline, check

NAMES = sorted(path.stem for path in FOLDER.glob("*.onnx"))
NUMERIC = [name for name in NAMES if Pipeline.load(name).sample.gradients]


def test_the_files_stay_small() -> None:
    sizes = [path.stat().st_size for path in FOLDER.iterdir()]
    assert len(NAMES) >= 50
    assert max(sizes) < 60_000
    assert sum(sizes) < 1_500_000


@pytest.mark.parametrize("name", NUMERIC)
def test_gradients_are_the_slopes_of_scikit_learn(name: str) -> None:
    check(Pipeline.load(name))


@pytest.mark.parametrize("name", NUMERIC)
def test_gradients_are_the_differences_of_the_runtime(name: str) -> None:
    pipeline = Pipeline.load(name)
    net, data = pipeline.net(), pipeline.sample.inputs
    found, rng = pipeline.gradients(net), np.random.default_rng(3)
    floats = [port for port in data if data[port].dtype.kind == "f"]
    v = {port: rng.standard_normal(data[port].shape) for port in floats}

    def total(step: float) -> float:
        moved = {n: (x + step * v[n]).astype(x.dtype) if n in v else x for n, x in data.items()}
        y = net.evaluate(moved)[pipeline.output]
        return float(np.vdot(pipeline.seeds(y)[pipeline.output].astype(float), y.astype(float)))

    exact = sum(float(np.vdot(found[port].astype(float), v[port])) for port in floats)
    size = sum(float(np.linalg.norm(found[port]) * np.linalg.norm(v[port])) for port in floats)
    assert abs(exact - (total(STEP) - total(-STEP)) / (2 * STEP)) <= ROUGH * size


@pytest.mark.parametrize("name", NUMERIC)
def test_a_net_for_one_example_takes_a_batch(name: str) -> None:
    pipeline = Pipeline.load(name)
    wanted = pipeline.gradients(pipeline.net())
    single = onnx.ModelProto()
    single.CopyFrom(pipeline.model)
    for port in single.graph.input:
        port.type.tensor_type.shape.dim[0].dim_value = 1
    found = Pipeline(single, pipeline.sample).gradients(
        portgrad.load(single.SerializeToString(), threads=1)
    )
    for port, gradient in wanted.items():
        # A kernel may add in another order for another batch.
        np.testing.assert_allclose(found[port], gradient, rtol=1e-5, atol=1e-6)


def test_a_map_of_probabilities_is_told_and_has_the_gradient_of_its_tensor() -> None:
    mapped, plain = Pipeline.load("logistic_map"), Pipeline.load("logistic_named")
    [sentence] = mapped.net().description.warnings
    assert "setosa, versicolor, virginica" in sentence
    np.testing.assert_array_equal(
        mapped.gradients(mapped.net())["X"], plain.gradients(plain.net())["X"]
    )


def test_logistic_regression_is_its_formula() -> None:
    pipeline = Pipeline.load("logistic_scores")
    [node] = [n for n in pipeline.model.graph.node if n.op_type == "LinearClassifier"]
    held = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    weights = np.asarray(held["coefficients"]).reshape(3, 4)
    seeds = pipeline.sample.seeds[pipeline.output]
    found = pipeline.gradients(pipeline.net())
    np.testing.assert_allclose(found["X"], seeds @ weights, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("forest", "TreeEnsembleClassifier"),
        ("forest_number", "TreeEnsembleRegressor"),
        ("hist_boosting", "TreeEnsembleRegressor"),
        ("trees_and_line", "TreeEnsembleClassifier"),
        ("neighbours", "TopK"),
        ("bins", "ArgMax"),
        ("threshold", "Binarizer"),
        ("ada_boost", "ArgMax"),
        ("isolation", "Cast"),
    ],
)
def test_where_the_gradient_is_zero_the_answer_and_the_description_say_so(
    name: str, node: str
) -> None:
    pipeline = Pipeline.load(name)
    net = pipeline.net()
    told = pipeline.gradients(net).warnings
    assert any(node in sentence for sentence in told)
    assert any(node in sentence for sentence in net.description.warnings)


def test_text_has_no_gradient_but_what_is_counted_of_it_has() -> None:
    pipeline = Pipeline.load("texts")
    net, data = pipeline.net(), pipeline.sample.inputs
    with pytest.raises(InvalidRequest) as caught:
        net.gradient(data, of=[pipeline.output])
    assert "holds nothing that has a gradient" in str(caught.value)
    [linear] = [n for n in pipeline.model.graph.node if n.op_type == "LinearClassifier"]
    counts = linear.input[0]
    found = net.gradient(data, wrt=[counts], of=[pipeline.output], outputs=[counts])
    assert found[counts].shape == found.outputs[counts].shape
    seeds = np.array([[0.0, 1.0]], np.float32)
    of_one = net.gradient(
        data, wrt=[counts], of=[pipeline.output], output_gradients={pipeline.output: seeds}
    )
    assert np.abs(of_one[counts]).max() > 0.01
