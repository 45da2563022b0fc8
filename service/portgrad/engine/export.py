"""A gradient as an ONNX file of its own, for any runtime: no Portgrad is needed to run it.

The graph is the one that a call runs, of standard operators alone (`autodiff/standard`), with a
word in its metadata on where it comes from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import ClearMetadataAndDocStringPass, LiftConstantsToInitializersPass

from portgrad.autodiff import SEED, Quantized, gradient_graph
from portgrad.autodiff.compile import values_by_name
from portgrad.autodiff.standard import standardise
from portgrad.engine import kernels
from portgrad.engine.sessions import name_nodes
from portgrad.errors import InvalidRequest, Unsupported
from portgrad.graph.check import tidy
from portgrad.graph.targets import Targets
from portgrad.graph.types import Shape, shape_of, type_name

# A file of ONNX's ends below 2 GiB, as protobuf does; the rest is left to the graph itself.
MOST_INLINE = 2_000_000_000
# Larger tensors lie in the second file, where there is one.
EXTERNAL_BYTES = 1024
DATA_SUFFIX = ".data"


@dataclass(frozen=True)
class FilePort:
    """An input or output of the file: its name, dtype and shape as `Port` has them."""

    name: str
    dtype: str
    shape: Shape | None


@dataclass(frozen=True)
class GradientFile:
    """A gradient as an ONNX model, to be written.

    Attributes:
        inputs: the net's input ports, and `seed/NAME` for each gradient that is imposed.
        outputs: the outputs that were asked for, then `grad/NAME` for each target.
        targets: the name of the target for each item of `wrt`.
        none: what a group left out because it has no gradient, with the reason.
        warnings: what the user of the gradient should know.
        files: what was written, the model first.
    """

    inputs: tuple[FilePort, ...]
    outputs: tuple[FilePort, ...]
    targets: tuple[str, ...]
    none: Mapping[str, str]
    warnings: tuple[str, ...]
    files: tuple[Path, ...] = ()
    _model: ir.Model = field(repr=False, kw_only=True)

    def to_bytes(self) -> bytes:
        """The file's bytes, weights included.

        Raises:
            InvalidRequest: `file_too_large` where that is more than one file can hold.
        """
        _refuse_large(self._model)
        content: bytes = ir.to_proto(self._model).SerializeToString()
        return content

    def save(self, path: str | Path, *, external: bool | None = None) -> GradientFile:
        """Write the file, and beside it one with the weights where that is wanted or needed.

        Args:
            path: of the ONNX file; what is there is replaced once all is written.
            external: whether the weights lie in a second file, whose name is that of the first
                and `.data`; by default where one file cannot hold them.

        Returns:
            This, with `files`.

        Raises:
            InvalidRequest: `unwritable_file`, or `file_too_large` where `external` is False.
        """
        path = Path(path)
        try:
            return self.write(path, external=external, location=path.name + DATA_SUFFIX)
        except OSError as error:
            raise InvalidRequest(
                "The file cannot be written.",
                code="unwritable_file",
                where=str(path),
                expected="a path in a folder that exists and can be written",
                found=error.strerror or str(error),
                remedy="Choose another path.",
            ) from error

    def write(self, path: Path, *, external: bool | None, location: str) -> GradientFile:
        """As `save`, with a name for the second file and OSError as it comes."""
        heavy = any(_is_heavy(tensor) for tensor in _tensors(self._model))
        if external is None:
            external = _weight(self._model) > MOST_INLINE
        if not external:
            _refuse_large(self._model)
        names = [location, path.name] if external and heavy else [path.name]
        with TemporaryDirectory(dir=path.parent, prefix=".portgrad-") as folder:
            ir.save(
                self._model,
                Path(folder) / path.name,
                format="protobuf",
                external_data=location if external and heavy else None,
                size_threshold_bytes=EXTERNAL_BYTES,
            )
            # The model comes last: where it is, all of it is.
            files = [(Path(folder) / name).replace(path.with_name(name)) for name in names]
        return replace(self, files=tuple(reversed(files)))


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
    found = gradient_graph(
        model,
        wrt=tuple(targets.values),
        of=of,
        seeds=of if seeds else (),
        outputs=outputs,
        quantized=quantized,
    )
    made = found.model
    _declare_seeds(model, made)
    standardise(made)
    kernels.widen(made)
    name_nodes(made.graph)
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


def _declare_seeds(net: ir.Model, made: ir.Model) -> None:
    """The shapes of seeds, in the symbols of what they are imposed at."""
    values = values_by_name(net.graph)
    for value in made.graph.inputs:
        name = str(value.name)
        if name.startswith(SEED) and name not in values:
            like = values[name.removeprefix(SEED)]
            value.shape = None if like.shape is None else ir.Shape(like.shape.dims)


def _tidy(model: ir.Model) -> None:
    """What a file says of itself: who made it, for whom it can be read, and nothing of the net's
    exporter but its metadata, which may be labels.
    """
    kept = dict(model.metadata_props)
    ClearMetadataAndDocStringPass()(model)
    model.metadata_props.update(kept)
    LiftConstantsToInitializersPass(size_limit=EXTERNAL_BYTES)(model)
    model.producer_name, model.producer_version = "portgrad", version("portgrad")
    model.domain, model.model_version = None, None
    imports = [onnx.helper.make_opsetid(*item) for item in model.opset_imports.items()]
    model.ir_version = onnx.helper.find_min_ir_version_for(imports)


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
    skeleton = model.clone()
    for name, value in list(skeleton.graph.initializers.items()):
        tensor = value.const_value
        if tensor is not None and tensor.dtype != ir.DataType.STRING and _is_heavy(tensor):
            del skeleton.graph.initializers[name]
            value.const_value = None
            skeleton.graph.inputs.append(value)
    proto = ir.to_proto(skeleton)
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


def _tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """The initializers that are numbers; texts can only lie inline."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is not None and tensor.dtype != ir.DataType.STRING:
                yield tensor


def _is_heavy(tensor: ir.TensorProtocol) -> bool:
    return tensor.nbytes > EXTERNAL_BYTES


def _weight(model: ir.Model) -> int:
    return sum(tensor.nbytes for tensor in _tensors(model))


def _refuse_large(model: ir.Model) -> None:
    weight = _weight(model)
    if weight > MOST_INLINE:
        raise InvalidRequest(
            "The weights are more than one ONNX file can hold.",
            code="file_too_large",
            where="external",
            expected=f"at most {MOST_INLINE} bytes",
            found=f"{weight} bytes",
            remedy="Have them written to a second file: give a path, and leave `external` out.",
        )
