"""A gradient's ONNX model on its way into one file, or into two: the graph, and its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx_ir as ir

from portgrad.errors import InvalidRequest
from portgrad.graph.types import Shape

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
            remedy="Have them written to a second file: give a path and leave `external` out, or "
            "over HTTP give that file's name, such as `external=weights.data`.",
        )
