"""A gradient's ONNX model on its way into one file, or into two: the graph, and its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import onnx_ir as ir

from portgrad.errors import InvalidRequest
from portgrad.graph.types import Shape

# A file of ONNX's ends below 2 GiB, as protobuf does; the rest is left to the graph itself.
MOST_INLINE = 2_000_000_000
# Larger tensors lie in the second file, where there is one.
EXTERNAL_BYTES = 1024
_ALIGNMENT = 64  # of each tensor in that file, so that it can be used where it is mapped
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
        if external is None:
            external = _weight(self._model) > MOST_INLINE
        with TemporaryDirectory(dir=path.parent, prefix=".portgrad-") as folder:
            made, weights = Path(folder) / path.name, Path(folder) / location
            with ExitStack() as stack:
                graph = stack.enter_context(made.open("wb"))
                more = [stack.enter_context(weights.open("wb"))] if external else []
                two = self.stream(graph, *more, location=location if external else None)
            # The model comes last: where it is, all of it is.
            files = [one.replace(path.with_name(one.name)) for one in [weights, made][not two :]]
        return replace(self, files=tuple(reversed(files)))

    def stream(
        self, graph: BinaryIO, weights: BinaryIO | None = None, *, location: str | None = None
    ) -> bool:
        """Write into open files; whether anything went into that of the weights.

        Args:
            graph: where the model goes.
            weights: where the larger tensors go, if not into the model.
            location: what the model calls that second file.

        Raises:
            InvalidRequest: `file_too_large`.
            OSError: as it comes from the disk.
        """
        if weights is None or location is None:
            graph.write(self.to_bytes())
            return False
        heavy = [(v, tensor) for v, tensor in _initializers(self._model) if _is_heavy(tensor)]
        try:
            for value, tensor in heavy:
                value.const_value = _moved(tensor, weights, location)
            graph.write(ir.to_proto(self._model).SerializeToString())
        finally:
            for value, tensor in heavy:
                value.const_value = tensor
        return bool(heavy)


def _moved(tensor: ir.TensorProtocol, to: BinaryIO, location: str) -> ir.ExternalTensor:
    """Write a tensor to the end of a file; the reference to it."""
    to.write(bytes(-to.tell() % _ALIGNMENT))
    offset = to.tell()
    to.write(tensor.tobytes())
    shape = ir.Shape(tensor.numpy().shape)
    return ir.ExternalTensor(
        location, offset, to.tell() - offset, tensor.dtype, shape=shape, name=str(tensor.name)
    )


def _initializers(model: ir.Model) -> Iterator[tuple[ir.Value, ir.TensorProtocol]]:
    """The initializers that are numbers; texts can only lie inline."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is not None and tensor.dtype != ir.DataType.STRING:
                yield value, tensor


def _tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    return (tensor for _, tensor in _initializers(model))


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
            remedy="Have them written to a second file: give a path and leave `external` out, or "
            "over HTTP give that file's name, such as `external=weights.data`.",
        )
