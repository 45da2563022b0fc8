"""Parameters of subgraphs, moved to the main graph: there a gradient finds them like any other."""

from __future__ import annotations

import itertools

import onnx_ir as ir

from portgrad.graph.names import Names


def lift_parameters(model: ir.Model, names: Names) -> None:
    """Move the parameters of subgraphs to the main graph, each under its name in `names`.

    The bodies that used them capture them from then on.
    """
    bodies = list(model.graph.subgraphs())
    holders = {value: body for body in bodies for value in body.initializers.values()}
    lifted = {name: value for name, value in names.parameters.items() if value in holders}
    _make_room(model, bodies, lifted)
    for name, value in lifted.items():
        body = holders[value]
        _pass_on(body, value)
        del body.initializers[str(value.name)]
        value.name = name
        model.graph.register_initializer(value)


def _make_room(model: ir.Model, bodies: list[ir.Graph], lifted: dict[str, ir.Value]) -> None:
    """Rename what bodies compute under a name that they will see from outside."""
    inside = [v for body in bodies for v in (*body.inputs, *(o for n in body for o in n.outputs))]
    inside += [v for body in bodies for v in body.initializers.values()]
    taken = {value.name for value in inside} | set(lifted)
    taken |= {value.name for node in model.graph for value in node.outputs}
    taken |= {value.name for value in (*model.graph.inputs, *model.graph.initializers.values())}
    for value in inside:
        name = str(value.name)
        if name in lifted and lifted[name] is not value and value not in lifted.values():
            fresh = (f"{name}_{i}" for i in itertools.count(1))
            value.name = next(candidate for candidate in fresh if candidate not in taken)
            taken.add(value.name)


def _pass_on(body: ir.Graph, value: ir.Value) -> None:
    """A body gives out only what it computes: a parameter that it gave out goes through a node."""
    for index, output in enumerate(body.outputs):
        if output is value:
            node = ir.Node("", "Identity", [value], num_outputs=1)
            copy = node.outputs[0]
            copy.name, copy.type, copy.shape = f"{value.name}/given{index}", value.type, value.shape
            body.append(node)
            body.outputs[index] = copy
