"""A gradient as an ONNX file of its own, for any runtime: no Portgrad is needed to run it.

The graph is the one that a call runs, of standard operators alone (`autodiff/standard`), with a
word in its metadata on where it comes from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import (
    ClearMetadataAndDocStringPass,
    LiftConstantsToInitializersPass,
    RemoveUnusedNodesPass,
)

from portgrad.autodiff import GRADIENT, SEED, Quantized
from portgrad.autodiff.compile import Imposed, swept
from portgrad.autodiff.nesting import with_inner
from portgrad.autodiff.randomness import say_batch_statistics
from portgrad.autodiff.standard import standardise
from portgrad.engine.rewrites import kernels
from portgrad.engine.sessions import name_nodes
from portgrad.engine.written import EXTERNAL_BYTES, FilePort, GradientFile
from portgrad.errors import Unsupported
from portgrad.graph.check import tidy
from portgrad.graph.skeleton import skeleton
from portgrad.graph.targets import Targets
from portgrad.graph.types import shape_of, type_name


def gradient_file(
    model: ir.Model,
    net_id: str,
    targets: Targets,
    *,
    of: tuple[str, ...],
    outputs: tuple[str, ...],
    seeds: bool,
    quantized: Quantized,
) -> GradientFile:
    """The gradient of a normalised net as a file.

    Args:
        model: the net; it is not changed.
        net_id: its id.
        targets: what the gradient is with respect to.
        of, outputs, quantized: as for `gradient_graph`.
        seeds: whether cotangents are inputs, of exactly the shape of what they are imposed at.

    Raises:
        Unsupported: an operator has no derivative (`unsupported_operator`), or cannot be said in
            standard operators (`not_standard`).
    """
    found = swept(
        model,
        {name: GRADIENT + name for name in targets.values},
        of=of,
        given={name: Imposed(SEED + name, fit="exact") for name in of if seeds},
        outputs=outputs,
        quantized=quantized,
    )
    made = found.model
    standardise(made)
    say_batch_statistics(made)
    kernels.widen(made)
    name_nodes(with_inner(made.graph))
    _tidy(made)
    made.metadata_props.update(
        _origin(
            net=net_id,
            wrt=list(targets.values),
            of=of,
            seeds=seeds,
            quantized=quantized,
            warnings=found.warnings,
            version=version("portgrad"),
        )
    )
    _check(made)
    return GradientFile(
        _ports(made.graph.inputs),
        _ports(made.graph.outputs),
        targets.asked,
        targets.none,
        found.warnings,
        _model=made,
    )


def _tidy(model: ir.Model) -> None:
    """What a file says of itself: who made it, for whom it can be read, and nothing of the net's
    exporter but its metadata, which may be labels.
    """
    kept = dict(model.metadata_props)
    ClearMetadataAndDocStringPass()(model)
    model.metadata_props.update(kept)
    LiftConstantsToInitializersPass(size_limit=EXTERNAL_BYTES)(model)
    _drop_unused(model)
    model.producer_name, model.producer_version = "portgrad", version("portgrad")
    model.domain, model.model_version = None, None
    imports = [onnx.helper.make_opsetid(*item) for item in model.opset_imports.items()]
    model.ir_version = onnx.helper.find_min_ir_version_for(imports)


def _drop_unused(model: ir.Model) -> None:
    """Constants that nothing reads any more: runtimes warn of each one."""
    RemoveUnusedNodesPass()(model)
    for graph in model.graph.subgraphs():
        for name, value in list(graph.initializers.items()):
            if not value.uses() and value not in graph.outputs:
                del graph.initializers[name]


def _origin(**facts: Any) -> dict[str, str]:
    """Facts as metadata: texts as they are, anything else in JSON."""
    return {
        f"portgrad.{key}": fact if isinstance(fact, str) else json.dumps(fact)
        for key, fact in facts.items()
    }


def _check(model: ir.Model) -> None:
    """onnx's checker in full, shapes included, on the graph without its weights.

    It wants a rank for every port. Runtimes do not, and the net itself may lack one, so it sees
    one for the moment.
    """
    proto = skeleton(model)
    for port in (*proto.graph.input, *proto.graph.output):
        if port.type.HasField("tensor_type"):
            port.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(proto, full_check=True)
    except Exception as error:
        raise Unsupported(
            "The gradient's graph does not pass onnx's checker, so no file is made of it.",
            code="not_standard",
            found=tidy(str(error)),
            remedy="Compute this gradient here.",
        ) from error


def _ports(values: Iterable[ir.Value]) -> tuple[FilePort, ...]:
    return tuple(FilePort(str(v.name), type_name(v.type), shape_of(v)) for v in values)
