"""From an upload to a net that is checked, inlined, at the working opset and fully typed."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx_ir as ir

from portgrad.errors import InvalidNet
from portgrad.graph import (
    bulk,
    functions,
    gradients,
    maps,
    operands,
    pads,
    pools,
    scopes,
    shapes,
    sparse,
    vocabulary,
    walk,
)
from portgrad.graph.check import check, check_text, read
from portgrad.graph.external import ExternalData, locations
from portgrad.graph.files import NetFiles, Source
from portgrad.graph.opsets import WORKING_OPSET, adapters, convert
from portgrad.graph.parse import parse
from portgrad.graph.size import DEPTH, NODES, check_size

# What opset 21 needs; the runtime reads any newer version that onnx does.
LOWEST_IR_VERSION = 10


def load(files: NetFiles, *, nodes: int = NODES, depth: int = DEPTH) -> ir.Model:
    """The net in some files, normalised.

    Every value has a name, and type and shape as far as onnx can infer them. Graph inputs are
    the input ports alone: initializers that are also listed there are parameters. Large tensors
    lie over the uploaded bytes or the mapped file.

    Args:
        files: the model and its external data.
        nodes: the most nodes that it may have, with functions written out.
        depth: how deep its subgraphs may be nested.

    Returns:
        The model. Its `meta["opset"]` is the ai.onnx version that the file was written in, 0 where
        it imports none; `meta["warnings"]` has sentences on what is not as the file has it, and
        `meta["promised"]` the shapes that it declares of its outputs, which need not be true.

    Raises:
        InvalidNet: the files hold no net that can be served; `code` says why.
        LimitExceeded: it is too large.
    """
    model, held = _read(files.model)
    check_size(model, nodes=nodes, depth=depth)
    check_text(model)
    external = ExternalData(files.external)
    external.check_all_used(locations(model))
    vocabulary.unify_imports(model)
    vocabulary.check(model)
    gradients.check_places(model)
    # What the checks of onnx, and all that follows, cannot read is written otherwise before them.
    sparse.densify(model)
    written_in = vocabulary.opset(model.opset_import) or 0
    warnings = tuple(maps.bypass(model))
    adapters.shelter_removed(model, written_in)
    _prepare(model)
    initializers = [tensor.name for tensor in model.graph.initializer]
    large = bulk.take_out(model, external, held)
    shapes.forget(model)
    functions.check(model)
    check(model)
    bulk.check_rest(model)
    promised = shapes.promised(model)
    model = functions.inline(model)
    operands.check_attributes(model)
    # The converter sees no functions. Inference would get the sizes of some pools wrong, and takes
    # values of two subgraphs that share a name for one.
    model = scopes.unshared(pools.mend(convert.convert(model)))
    model = shapes.infer(model)
    net = read(model)
    operands.check_lists(net)
    large.put_back(net)
    pads.spread(net.graph)  # by ranks, which are known now
    _order(net.graph, initializers)
    net.meta.update(opset=written_in, warnings=warnings, promised=promised)
    return net


def _read(source: Source) -> tuple[onnx.ModelProto, Mapping[str, ir.TensorProtocol]]:
    """The model as it was parsed, and large initializers, which protobuf did not have to copy."""
    model, left_out = parse(source, bulk.SMALL)
    return model, bulk.hold(model, left_out)


def _prepare(model: onnx.ModelProto) -> None:
    """Undo what older files do differently, and drop what no net is run with."""
    if not 1 <= model.ir_version <= onnx.IR_VERSION:
        raise InvalidNet(
            f"The version {model.ir_version} of the ONNX format is not known here.",
            code="unknown_ir_version",
            expected=f"an ir_version from 1 to {onnx.IR_VERSION}",
            found=str(model.ir_version),
            remedy="Export the net with an older version of the onnx package.",
        )
    model.ir_version = max(model.ir_version, LOWEST_IR_VERSION)
    model.ClearField("training_info")
    if vocabulary.opset(model.opset_import) is None:
        # A net of another domain alone: what is added to it are standard operators.
        model.opset_import.append(onnx.helper.make_opsetid("", WORKING_OPSET))
    shapes.free_negative_dimensions(model)
    for graph in walk.graphs(model.graph):
        held = {tensor.name for tensor in graph.initializer}
        for index in reversed(range(len(graph.input))):
            if graph.input[index].name in held:
                del graph.input[index]
    shapes.name_unknown_sizes(model.graph)


def _order(graph: ir.Graph, names: list[str]) -> None:
    """Initializers in the order of the file; those that conversion added come last."""
    held, known = dict(graph.initializers), set(names)
    graph.initializers.clear()
    added = [name for name in held if name not in known]
    for name in [*(name for name in names if name in held), *added]:
        graph.initializers[name] = held[name]
