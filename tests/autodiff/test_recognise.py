"""Norms and activations that are written out get their operators' gradients; near misses do not."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from portgrad.autodiff import compile as compiling
from portgrad.autodiff import gradient_graph
from portgrad.autodiff.recognise import StandIn
from support.double import Arrays, runner
from support.rig import ADJOINT, STEP, check_adjoint, second_order
from support.written_out import FORMS, NEAR_MISSES, Written

SINGLE = 3e-6  # some 20 roundings of 6e-8 each, relative to the largest element


@contextmanager
def stage(*, on: bool = True) -> Iterator[list[str]]:
    """The stage on or off; what it lets stand in."""
    original, found = compiling.recognise, []  # type: ignore[var-annotated]

    def spy(*arguments: object) -> list[StandIn]:
        made = original(*arguments) if on else []  # type: ignore[arg-type]
        found.extend(stand_in.node.op_type for stand_in in made)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "recognise", spy)
        yield found


def compiled(
    net: onnx.ModelProto, wrt: list[str], outputs: list[str] | None = None, *, on: bool = True
) -> tuple[onnx.ModelProto, list[str]]:
    """The gradient graph with the stage on or off, and what stood in."""
    with stage(on=on) as found:
        graph = gradient_graph(
            ir.from_proto(net), wrt=wrt, of=["y"], seeds=["y"], outputs=outputs or []
        )
    proto = ir.to_proto(graph.model)
    onnx.checker.check_model(proto, full_check=True)
    return proto, found


def optimised(proto: onnx.ModelProto) -> Counter[str]:
    """The operators that the runtime runs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder, "net.onnx"))
        ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return Counter(n.op_type for n in onnx.load(options.optimized_model_filepath).graph.node)


def agree(ours: list[np.ndarray], theirs: list[np.ndarray], tolerance: float = SINGLE) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= tolerance * max(1.0, np.abs(other).max())


def seeded(form: Written, feeds: Arrays) -> Arrays:
    seed = np.random.default_rng(5).standard_normal(form.x)
    return {**feeds, "seed/y": seed.astype(feeds["x"].dtype)}


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_runtime_fuses_and_runs_less(form: Written) -> None:
    net = form.model(np.float32)
    graph, found = compiled(net, form.operands, ["y"])
    plain, none = compiled(net, form.operands, ["y"], on=False)
    assert (found, none) == ([form.op], [])
    ran, ran_plainly = optimised(graph), optimised(plain)
    assert ran.total() < ran_plainly.total()
    assert sum(ran[name] for name in form.fused) == bool(form.fused)
    assert sum(ran_plainly[name] for name in form.fused) == 0
    feeds = seeded(form, form.feeds(np.float32))
    agree(runner(graph)(feeds), runner(plain)(feeds))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_against_differences_to_second_order(form: Written) -> None:
    with stage() as found:
        case = form.case()
        check_adjoint(case, step=STEP, tolerance=ADJOINT)
        assert set(found) == {form.op}
        del found[:]
        check_adjoint(second_order(case), step=STEP, tolerance=10 * ADJOINT)
        assert form.op in found  # the gradient graph has it still


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_second_order_in_single_precision(form: Written) -> None:
    second = {}
    for on in (True, False):
        with stage(on=on):
            case = second_order(form.case(np.float32))
            second[on] = case.run_gradient(case.seeds(case.run_forward()))
    agree(second[True], second[False], 10 * SINGLE)


# Of a norm these leave a smaller one: of the same without its parameters, or of what is centred.
SMALLER = {"m", "d", "n", "nw", "t", "y0"}


def inner(form: Written, net: onnx.ModelProto) -> list[str]:
    """The values on the way to y."""
    return [y for n in net.graph.node if n.op_type != "Constant" for y in n.output if y != "y"]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_asking_for_what_lies_inside_turns_it_off(form: Written) -> None:
    net = form.model(np.float32)
    feeds = seeded(form, form.feeds(np.float32))
    for name in inner(form, net):
        asked = [*form.operands, name]
        graph, found = compiled(net, asked, [name])
        assert not found or name in SMALLER
        plain, _ = compiled(net, asked, [name], on=False)
        agree(runner(graph)(feeds), runner(plain)(feeds))
        assert compiled(net, asked)[1] == compiled(net, form.operands, [name])[1] == found


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_what_lies_outside_may_be_asked_for(form: Written) -> None:
    net = form.model(np.float32)
    _, found = compiled(net, [*form.operands, "y"], [*form.operands, "y"])
    assert found == [form.op]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_inner_value_that_is_used_elsewhere_turns_it_off(form: Written) -> None:
    net = form.model(np.float32)
    for name in inner(form, net):
        other = onnx.ModelProto()
        other.CopyFrom(net)
        [last] = [node for node in other.graph.node if "y" in node.output]
        last.output[0] = "whole"
        other.graph.node.append(onnx.helper.make_node("Mul", ["whole", name], ["y"]))
        other = onnx.shape_inference.infer_shapes(other, strict_mode=True)
        assert not compiled(other, form.operands)[1] or name in SMALLER


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_constant_that_may_change_turns_it_off(form: Written) -> None:
    net = form.model(np.float32)
    numbers = [n for n in net.graph.node if n.op_type == "Constant"]
    read = {name for node in net.graph.node for name in node.input}
    for constant in numbers:
        tensor = constant.attribute[0].t
        name = constant.output[0]
        if name not in read or tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        port = onnx.ModelProto()
        port.CopyFrom(net)
        port.graph.node.remove(constant)
        port.graph.input.append(onnx.helper.make_tensor_value_info(name, 1, []))
        assert compiled(port, form.operands)[1] == []
        held = onnx.ModelProto()
        held.CopyFrom(net)
        held.graph.node.remove(constant)
        tensor.name = name
        held.graph.initializer.append(tensor)
        assert compiled(held, form.operands)[1] == [form.op]
        assert compiled(held, [*form.operands, name])[1] == []  # a parameter, and asked for


@pytest.mark.parametrize("miss", NEAR_MISSES, ids=str)
def test_near_misses(miss: Written) -> None:
    with stage() as found:
        check_adjoint(miss.case(), step=STEP, tolerance=ADJOINT)
        assert found == []
        assert compiled(miss.model(np.float32), miss.operands)[1] == []


@pytest.mark.parametrize("before", ["l = Sqrt(x)", "l = Log(x)"])
@pytest.mark.parametrize("slope", ["d", "l"])
def test_rows_of_a_norm_that_a_where_leaves_out(before: str, slope: str) -> None:
    """They are infinite, or have an infinite slope before the norm: their gradient is 0."""
    net = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 21]> net (float[2, 3] x, bool[2, 1] keep) => '
        "(float[2, 3] y) { two = Constant<value = float {2.0}>() "
        "last = Constant<value_ints = [-1]>() "
        "zero = Constant<value = float {0.0}>() eps = Constant<value = float {0.01}>() "
        f"{before} m = ReduceMean(l, last) d = Sub(l, m) p = Pow({slope}, two) "
        f"v = ReduceMean(p, last) e = Add(v, eps) s = Sqrt(e) n = Div({slope}, s) "
        "y = Where(keep, n, zero) }"
    )
    net = onnx.shape_inference.infer_shapes(net, strict_mode=True, data_prop=True)
    graph, found = compiled(net, ["x"])
    assert found == []
    x = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], np.float32)
    feeds = {"x": x, "keep": np.array([[False], [True]]), "seed/y": np.ones_like(x) * x}
    [gradient] = runner(graph)(feeds)
    assert not gradient[0].any()
    assert np.isfinite(gradient).all()


def test_a_written_out_sigmoid_far_from_zero_has_a_slope_of_zero() -> None:
    """Node by node it would be 0 times the infinite exponential."""
    form = next(form for form in FORMS if form.op == "Sigmoid")
    net, _ = compiled(form.model(np.float32), ["x"])
    far = np.full((2, 3, 4), -200.0, np.float32)
    [gradient] = runner(net)({"x": far, "seed/y": np.ones_like(far)})
    np.testing.assert_array_equal(gradient, np.zeros_like(far))
