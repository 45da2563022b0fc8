"""Torch: both of its exporters, and its own gradients in float64."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from support.exporters.elements import Elements, distinct
from support.exporters.sample import Exported, Made, Sample

Exporter = Literal["torch_dynamo", "torch_script"]
BOTH: tuple[Exporter, ...] = ("torch_dynamo", "torch_script")
Axes = Mapping[str, Mapping[int, str]]


@dataclass(frozen=True)
class Source:
    """A net to export.

    Args:
        make: the module; its parameters are drawn anew with the source's seed.
        inputs: example data by the names of the module's arguments.
        outputs: names of the outputs.
        axes: names of axes of ports whose sizes are left open; the first of each by default.
        exporters: which exporters take it.
        opset: the exporter's own choice by default.
        scripted: what is exported is compiled, not traced: loops and branches stay.
        functions: each module becomes a function of the file.
    """

    make: Callable[[], nn.Module]
    inputs: Callable[[], dict[str, Tensor]]
    outputs: tuple[str, ...] = ("y",)
    axes: Axes | None = None
    exporters: tuple[Exporter, ...] = BOTH
    opset: int | None = None
    scripted: bool = False
    functions: bool = False


def exported(source: Source, exporter: Exporter) -> Exported:
    """The net as one of torch's exporters writes it."""
    torch.manual_seed(23)
    torch.set_num_threads(1)
    with _quiet():
        net = source.make().eval()
        _make_distinct(net)
        inputs = source.inputs()
        model = _export(source, exporter, net, inputs)
        return Exported(model, sampled(net, inputs, model))


def made(sources: Mapping[str, Source]) -> Iterator[Made]:
    """Each net by each exporter that takes it."""
    for name, source in sources.items():
        for exporter in source.exporters:
            yield Made(exporter, name, functools.partial(exported, source, exporter))


def _export(
    source: Source, exporter: Exporter, net: nn.Module, inputs: dict[str, Tensor]
) -> onnx.ModelProto:
    axes = source.axes if source.axes is not None else {name: {0: "batch"} for name in inputs}
    common: dict[str, Any] = {
        "input_names": list(inputs),
        "output_names": list(source.outputs),
        "opset_version": source.opset,
    }
    arguments = tuple(inputs.values())
    if exporter == "torch_script":
        buffer = io.BytesIO()
        what = torch.jit.script(net) if source.scripted else net
        torch.onnx.export(
            what,
            arguments,
            buffer,
            dynamo=False,
            dynamic_axes=axes,
            export_modules_as_functions=source.functions,
            **common,
        )
        return onnx.load_model_from_string(buffer.getvalue())
    dims = {name: torch.export.Dim(name) for one in axes.values() for name in one.values()}
    shapes = tuple({a: dims[n] for a, n in axes.get(name, {}).items()} for name in inputs)
    program = torch.onnx.export(net, arguments, dynamo=True, dynamic_shapes=shapes, **common)
    assert program is not None
    return program.model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' reports of progress and of being deprecated."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:  # noqa: PTH123
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            yield
    logging.disable(logging.NOTSET)


def _make_distinct(net: nn.Module) -> None:
    parameters = [p for p in net.parameters() if p.is_floating_point()]
    drawn = distinct([p.detach().numpy() for p in parameters], np.random.default_rng(5))
    with torch.no_grad():
        for p, array in zip(parameters, drawn, strict=True):
            p.copy_(torch.from_numpy(array))


def sampled(net: nn.Module, inputs: dict[str, Tensor], model: onnx.ModelProto) -> Sample:
    """The point in float64, cast back. Modules that compute in float32 inside still do."""
    double = copy.deepcopy(net).double()
    feeds = {name: _leaf(x) for name, x in inputs.items()}
    embedded = _watched(double)
    found = double(*feeds.values())
    names = [port.name for port in model.graph.output]
    outputs = dict(zip(names, found if isinstance(found, tuple) else (found,), strict=True))
    rng = np.random.default_rng(7)
    seeds = {n: rng.standard_normal(y.shape).astype(np.float32) for n, y in outputs.items()}
    torch.autograd.backward(
        list(outputs.values()), [torch.from_numpy(seed).double() for seed in seeds.values()]
    )
    parameters = Elements(
        model,
        {name: p.detach().numpy() for name, p in net.named_parameters()},
        {name: _gradient(p) for name, p in double.named_parameters()},
    )
    own = {name: x.grad for name, x in feeds.items() if x.grad is not None}
    tokens = {
        output: embedded[name].grad
        for name, output in _lookups(model, parameters)
        if name in embedded
    }
    gradients = {name: _single(grad) for name, grad in {**own, **tokens}.items()}
    return Sample(
        {name: x.numpy() for name, x in inputs.items()},
        seeds,
        {name: _single(y) for name, y in outputs.items()},
        {**gradients, **parameters.gradients},
        {name: np.array(0) for name in parameters.missed},
    )


def _leaf(x: Tensor) -> Tensor:
    return x.double().requires_grad_() if x.is_floating_point() else x


def _single(x: Tensor | None) -> np.ndarray:
    assert x is not None
    return x.detach().to(torch.float32).numpy()


def _watched(net: nn.Module) -> dict[str, Tensor]:
    """What each embedding gives, by the name of its table, once the net has run."""
    seen: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, args: Any, output: Tensor) -> None:
            if output.requires_grad:  # positions that are not learned need none
                output.retain_grad()
                seen[name] = output

        return keep

    for name, module in net.named_modules():
        if isinstance(module, nn.Embedding):
            module.register_forward_hook(hook(f"{name}.weight"))
    return seen


def _lookups(model: onnx.ModelProto, parameters: Elements) -> Iterator[tuple[str, str]]:
    """Tables that tokens are looked up in, by their names in the framework, and the results."""
    ports = {port.name for port in model.graph.input}
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[1] in ports:
            name = parameters.whole.get(node.input[0])
            if name is not None:
                yield name, node.output[0]


def _gradient(p: nn.Parameter) -> np.ndarray:
    """0 for what the outputs do not depend on; not known of what torch has no gradient of."""
    if p.grad is not None:
        return p.grad.numpy()
    return np.full(p.shape, 0.0 if p.requires_grad else np.nan)
