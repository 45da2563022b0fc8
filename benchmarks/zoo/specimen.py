"""One net of the zoo: its torch module, its data, and its file as the exporter writes it."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import onnx_ir as ir
import torch
from onnx_ir.passes import common
from onnxscript import optimizer, rewriter
from onnxscript.rewriter.rules.common import (
    remove_optional_bias_from_conv_rule,
    remove_optional_bias_from_conv_transpose_rule,
)
from torch import Tensor, nn

OPSET = 21


@dataclass(frozen=True)
class Specimen:
    """A net to measure.

    Args:
        name: a short name.
        title: what tables call it.
        make: the module; its weights are drawn with the same seed each time.
        data: example data by the names of the ports.
        inner: the embedding whose output stands for the inputs, where those are tokens.
        axis: that of the examples.
        plain: the exporter's optimiser is left out, which folds batch normalisation away.
    """

    name: str
    title: str
    make: Callable[[], nn.Module]
    data: Callable[[], dict[str, Tensor]]
    inner: str | None = None
    axis: int = 0
    plain: bool = False

    @cached_property
    def module(self) -> nn.Module:
        """The module, as it is for inference."""
        torch.manual_seed(23)
        net = self.make().eval()
        with torch.no_grad():  # as after training: the exporter merges weights that are alike
            for weight in net.parameters():
                weight.add_(0.01 * torch.randn_like(weight) if weight.ndim < 2 else 0)
        return net

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """The example data."""
        torch.manual_seed(5)
        return self.data()

    @cached_property
    def model(self) -> bytes:
        """The net as an ONNX file, the axis of the examples open."""
        with _quiet():
            shapes = tuple({self.axis: torch.export.Dim.DYNAMIC} for _ in self.inputs)
            inputs = {name: _several(x, self.axis) for name, x in self.inputs.items()}
            program = torch.onnx.export(
                self.module,
                tuple(inputs.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=["y"],
                dynamic_shapes=shapes,
                optimize=not self.plain,
            )
            assert program is not None
            if self.plain:
                _folded(program.model)
            _settle(program.model, self.module)
        return program.model_proto.SerializeToString()


def _folded(model: ir.Model) -> None:
    """As the exporter's optimiser leaves it, but for the folding of batch normalisation."""
    optimizer.fold_constants(model, input_size_limit=64)  # parameters stay themselves
    rules = (remove_optional_bias_from_conv_rule, remove_optional_bias_from_conv_transpose_rule)
    rewriter.RewritePass(rules)(model)
    common.RemoveUnusedNodesPass()(model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    common.DeduplicateInitializersPass()(model)


def _settle(model: ir.Model, module: nn.Module) -> None:
    """Constants in the place of what torch does not differentiate: bounds of clamps, statistics.

    The exporter makes them initializers, so that they would be among all parameters.
    """
    parameters, buffers = (dict(some()) for some in (module.named_parameters, module.named_buffers))
    for name, value in list(model.graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or name in parameters or not tensor.dtype.is_floating_point():
            continue
        if name in buffers or tensor.size == 1:
            node = ir.Node("", "Constant", [], [ir.AttrTensor("value", tensor)], num_outputs=1)
            made = node.outputs[0]
            made.type, made.shape = value.type, value.shape
            del model.graph.initializers[name]
            ir.convenience.replace_all_uses_with(value, made)
            made.name = name
            model.graph.insert_before(model.graph[0], node)


def _several(x: Tensor, axis: int) -> Tensor:
    """With more than one example: an axis of one is taken for a fixed one."""
    return x if x.shape[axis] > 1 else torch.cat([x, x], axis)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's reports of progress."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)
