"""A point of a net: inputs, cotangents of the outputs, and what the framework itself gets there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import onnx

from support.double import Arrays

FOLDER = Path(__file__).parents[2] / "data" / "exported"


@dataclass(frozen=True)
class Sample:
    """Arrays by the names that they have in the file.

    Args:
        inputs: data for each input port.
        seeds: a random cotangent for each floating output port.
        outputs: the framework's outputs.
        gradients: the framework's gradients by input ports, parameters and embedded tokens, as
            far as each element of the file's tensor is an element of the framework's.
        missed: the framework's parameters that are no tensors of the file any more, being folded
            into others; gradients of what they became are held to differences alone.
    """

    inputs: Arrays
    seeds: Arrays
    outputs: Arrays
    gradients: Arrays
    missed: Arrays

    def save(self, path: Path) -> None:
        """Write it as one archive."""
        named = {
            f"{group.name}/{name}": array
            for group in fields(self)
            for name, array in getattr(self, group.name).items()
        }
        np.savez_compressed(path, **named)  # type: ignore[arg-type]


def read(path: Path) -> Sample:
    """What `save` wrote."""
    groups: dict[str, Arrays] = {group.name: {} for group in fields(Sample)}
    with np.load(path) as archive:
        for key in archive.files:
            group, name = key.split("/", 1)
            groups[group][name] = archive[key]
    return Sample(**groups)


@dataclass(frozen=True)
class Exported:
    """A net as an exporter wrote it, and a point of it."""

    model: onnx.ModelProto
    sample: Sample

    def save(self, folder: Path, name: str) -> None:
        """Write both files, without the exporter's notes on the machine that it ran on."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.onnx").write_bytes(_plain(self.model).SerializeToString())
        self.sample.save(folder / f"{name}.npz")


@dataclass(frozen=True)
class Made:
    """A file to make: its folder, called after the exporter, its name, and the way to it."""

    exporter: str
    name: str
    make: Callable[[], Exported]


def _plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without stack traces: they hold paths, and outweigh the net."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    for graph in (plain.graph, *plain.functions):
        _forget_traces(graph)
    return plain


def _forget_traces(graph: onnx.GraphProto | onnx.FunctionProto) -> None:
    graph.ClearField("doc_string")
    graph.ClearField("metadata_props")
    for node in graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _forget_traces(attribute.g)
    if isinstance(graph, onnx.GraphProto):
        for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            value.ClearField("doc_string")
            value.ClearField("metadata_props")
