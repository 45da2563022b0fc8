"""Which operators a net may be made of: opsets and domains that are known here."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from portgrad.errors import InvalidNet
from portgrad.graph import walk
from portgrad.graph.opsets.removed import removed
from portgrad.graph.schemas import training

Imports = Iterable[onnx.OperatorSetIdProto]

DEFAULT = ""
# Domains whose operators the runtime knows, where a node of the latter two may have no derivative;
# and that of Gradient, which is expanded before anything runs.
DOMAINS = frozenset({DEFAULT, "ai.onnx.ml", "com.microsoft", training.DOMAIN})
# Of a domain of functions: onnx takes no larger number.
_LARGEST = 2**31 - 1
_REMEDIES = {
    training.DOMAIN: "Leave what trains the net out of it: of this domain Gradient is known.",
    # Where the runtime's optimizer puts operators of a layout that suits one machine.
    "com.microsoft.nchwc": "Save the optimised net again with ORT_ENABLE_EXTENDED or less.",
}
# Of com.microsoft the runtime knows more operators than there are schemas here.
NEWEST = {
    domain: newest
    for domain, (_, newest) in onnx.defs.C.schema_version_map().items()
    if domain in DOMAINS - {"com.microsoft"}
}


def unify_imports(model: onnx.ModelProto) -> None:
    """Name each domain once, and the default one in one way only, as the empty string; in place.

    skl2onnx imports the default domain twice.

    Raises:
        InvalidNet: `unknown_opset` where two versions of a domain are imported.
    """
    for owner in (model, *model.functions):
        versions: dict[str, int] = {}
        for entry in owner.opset_import:
            domain = DEFAULT if entry.domain == "ai.onnx" else entry.domain
            if versions.setdefault(domain, entry.version) != entry.version:
                raise _two_versions(domain, versions[domain], entry.version)
        del owner.opset_import[:]
        owner.opset_import.extend(onnx.helper.make_opsetid(*item) for item in versions.items())
    for node in walk.all_nodes(model):
        if node.domain == "ai.onnx":
            node.domain = DEFAULT


def check(model: onnx.ModelProto) -> None:
    """Refuse opsets that are not known and nodes of other domains.

    Raises:
        InvalidNet: `unknown_opset`, `unknown_domain` or `unknown_operator`.
    """
    _check_imports(model.opset_import, "the model")
    local = {(function.domain, function.name) for function in model.functions}
    for function in model.functions:
        _check_imports(function.opset_import, f"the function `{function.name}`")
        _check_nodes(function, function.opset_import, local)
    _check_nodes(model.graph, model.opset_import, local)


def opset(imports: Imports, domain: str = DEFAULT) -> int | None:
    """The version of a domain that a model or function imports."""
    return next((entry.version for entry in imports if entry.domain == domain), None)


def _check_imports(imports: Imports, whose: str) -> None:
    for entry in imports:
        newest = NEWEST.get(entry.domain, _LARGEST)
        if not 1 <= entry.version <= newest:
            raise InvalidNet(
                f"The opset {entry.version} of `{entry.domain or 'ai.onnx'}` is not known here.",
                code="unknown_opset",
                where=whose,
                expected=f"1 to {newest}",
                found=str(entry.version),
                remedy=f"Export the net with an opset from 1 to {newest}.",
            )


def _check_nodes(owner: walk.Nodes, imports: Imports, local: set[tuple[str, str]]) -> None:
    for node in walk.nodes(owner):
        if (node.domain, node.op_type) in local:
            continue
        optimizer = node.domain == training.DOMAIN and node.op_type != training.GRADIENT
        if node.domain not in DOMAINS or optimizer:
            raise _unknown_domain(node)
        version = opset(imports, node.domain)
        if version is None:
            raise _no_opset(node)
        known = onnx.defs.has(node.op_type, version, node.domain) or removed(node, version)
        if node.domain in NEWEST and not known:
            raise _unknown_operator(node, version)


def _two_versions(domain: str, *versions: int) -> InvalidNet:
    return InvalidNet(
        f"The net imports two versions of `{domain or 'ai.onnx'}`.",
        code="unknown_opset",
        expected="one version of each domain",
        found=" and ".join(map(str, versions)),
        remedy="Remove the opset import that the net was not made with.",
    )


def _where(node: onnx.NodeProto) -> str:
    return f"node `{walk.called(node)}` ({node.op_type})"


def _unknown_domain(node: onnx.NodeProto) -> InvalidNet:
    return InvalidNet(
        f"The operator {node.op_type} of the domain `{node.domain}` is not known here.",
        code="unknown_domain",
        where=_where(node),
        expected="an operator of ai.onnx, ai.onnx.ml or com.microsoft, or a model-local function",
        found=f"{node.domain}.{node.op_type}",
        remedy=_REMEDIES.get(
            node.domain,
            "Export the net with standard operators, or with this operator as a function.",
        ),
    )


def _no_opset(node: onnx.NodeProto) -> InvalidNet:
    domain = node.domain or "ai.onnx"
    return InvalidNet(
        f"The net uses the domain `{domain}` without saying which version of it.",
        code="unknown_opset",
        where=_where(node),
        expected=f"an opset_import for `{domain}`",
        remedy="Export the net again, or add the opset import that it was made with.",
    )


def _unknown_operator(node: onnx.NodeProto, version: int) -> InvalidNet:
    domain = node.domain or "ai.onnx"
    return InvalidNet(
        f"There is no operator {node.op_type} in opset {version} of `{domain}`.",
        code="unknown_operator",
        where=_where(node),
        found=node.op_type,
        remedy="Check the operator's name and the opset that the net was exported with.",
    )
