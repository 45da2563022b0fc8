"""Walks over everything that a model's protobuf nests: functions, subgraphs, nodes, tensors."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

Nodes = onnx.GraphProto | onnx.FunctionProto


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and its subgraphs to any depth, outer ones first."""
    yield graph
    for node in graph.node:
        yield from subgraphs(node)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs in a node's attributes, to any depth."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield from graphs(attribute.g)
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            for graph in attribute.graphs:
                yield from graphs(graph)


def nodes(owner: Nodes) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph or function and of its subgraphs."""
    for node in owner.node:
        yield node
        for graph in subgraphs(node):
            yield from graph.node


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of a model, those inside functions included."""
    yield from nodes(model.graph)
    for function in model.functions:
        yield from nodes(function)


def all_graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Every graph of a model: the main graph, subgraphs, and subgraphs inside functions."""
    yield from graphs(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from subgraphs(node)


def tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Every tensor of a model with the name under which a user knows it."""
    for graph in all_graphs(model):
        for tensor in graph.initializer:
            yield tensor.name, tensor
    for node in all_nodes(model):
        for attribute in node.attribute:
            called = attribute.t.name or (node.output[0] if node.output else node.op_type)
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield called, attribute.t
            for tensor in attribute.tensors:
                yield tensor.name or called, tensor


def called(node: onnx.NodeProto) -> str:
    """What a user calls a node: its name, or its first output where it has no name."""
    return node.name or next((name for name in node.output if name), node.op_type)
