"""The description of a net: its ports and parameters, what is differentiable and if not, why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import onnx_ir as ir

from portgrad.graph.names import Names
from portgrad.graph.types import Shape, type_name

RUNNING_STATISTICS = {"input_mean", "input_var", "mean", "var"}


@dataclass(frozen=True)
class Port:
    """An input or output port.

    Attributes:
        name: as the file gives it.
        dtype: NumPy's or ml_dtypes' name, `string`, or such as `sequence(float32)`.
        shape: symbols are strings, a size that nothing is known of is None; None for an unknown
            rank and for what is no tensor.
        differentiable: whether a gradient exists and can be computed here.
        reason: why not, where it is not.
    """

    name: str
    dtype: str
    shape: Shape | None
    differentiable: bool
    reason: str | None = None


@dataclass(frozen=True)
class Parameter(Port):
    """A parameter: a floating initializer.

    Attributes:
        buffer: whether it is a running statistic: used only as mean or variance of batch
            normalisations.
        paths: where it is used, each as [node, operand]; each path names this parameter.
        aliases: inner values that are this parameter passed on by an Identity node, as exporters
            write equal parameters; the gradient of an alias is that of its own uses only.
        shared: whether it is used in several places, so that its gradient is the total over them.
    """

    buffer: bool = False
    paths: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()
    shared: bool = False


@dataclass(frozen=True)
class Description:
    """What a net has for a user to name."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: tuple[Parameter, ...]
    opset: int
    warnings: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """The description as plain data for the wire; `reason` only where there is one."""
        return {
            "inputs": [_plain(port) for port in self.inputs],
            "outputs": [_plain(port) for port in self.outputs],
            "parameters": [_plain(parameter) for parameter in self.parameters],
            "opset": self.opset,
            "warnings": list(self.warnings),
        }


def describe(
    names: Names,
    *,
    opset: int | None = None,
    obstacles: Mapping[str, str] | None = None,
    warnings: Iterable[str] = (),
) -> Description:
    """Describe a net.

    Args:
        names: the net's names.
        opset: the version of ai.onnx that the file was written in, if not the net's own.
        obstacles: ports and parameters by name that have a gradient which cannot be computed here,
            each with the reason (an operator without a rule).
        warnings: sentences about the whole net.
    """
    stopped = obstacles or {}
    return Description(
        inputs=tuple(_port(names, name, value, stopped) for name, value in names.inputs.items()),
        outputs=tuple(_port(names, name, value, stopped) for name, value in names.outputs.items()),
        parameters=tuple(
            _parameter(names, name, value, stopped) for name, value in names.parameters.items()
        ),
        opset=opset or names.slots.opset,
        warnings=tuple(warnings),
    )


def _port(names: Names, name: str, value: ir.Value, obstacles: Mapping[str, str]) -> Port:
    reason = names.none_reason(value) or obstacles.get(name)
    return Port(name, type_name(value.type), names.shape(name), reason is None, reason)


def _parameter(names: Names, name: str, value: ir.Value, obstacles: Mapping[str, str]) -> Parameter:
    aliases = _aliases(value)
    uses = [use for v in (value, *aliases) for use in v.uses() if not _passes_on(use.node)]
    return Parameter(
        **asdict(_port(names, name, value, obstacles)),
        buffer=bool(uses) and all(_is_statistic(names, node, index) for node, index in uses),
        paths=tuple(_paths(names, value)),
        aliases=tuple(names.name(alias) for alias in aliases if names.is_inner(alias)),
        shared=len(uses) > 1,
    )


def _aliases(value: ir.Value) -> list[ir.Value]:
    found = [value]
    for passed in found:  # grows on the way: Identity nodes may follow one another
        found += [node.outputs[0] for node in passed.consumers() if _passes_on(node)]
    return found[1:]


def _passes_on(node: ir.Node) -> bool:
    return node.op_type == "Identity" and node.domain == ""


def _is_statistic(names: Names, node: ir.Node, index: int) -> bool:
    name = names.slots.operand_name(node, index)
    return node.op_type == "BatchNormalization" and name in RUNNING_STATISTICS


def _paths(names: Names, value: ir.Value) -> Iterator[tuple[str, str]]:
    for node, index in value.uses():
        path = (names.node_name(node), names.slots.operand_name(node, index))
        if list(names.readings(path).values()) == [value]:
            yield path


def _plain(port: Port) -> dict[str, Any]:
    fields = {key: _listed(value) for key, value in asdict(port).items()}
    return {key: value for key, value in fields.items() if key != "reason" or value is not None}


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value
