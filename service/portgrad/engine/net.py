"""Net: numpy in, numpy out. The library's face, and what the service runs behind HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portgrad.autodiff import (
    EXACT,
    STRAIGHT_THROUGH,
    Quantized,
    foreseen,
    obstacles,
)
from portgrad.autodiff.survey import Survey, survey
from portgrad.engine.arrays import Array, ArrayLike, Value, as_port_array, as_port_value
from portgrad.engine.cache import Cache
from portgrad.engine.executor import Executor, Sessions
from portgrad.engine.export import gradient_file
from portgrad.engine.plan import Plan
from portgrad.engine.results import Gradients, Outputs
from portgrad.engine.written import GradientFile
from portgrad.errors import InvalidRequest
from portgrad.graph import load as load_model
from portgrad.graph.files import NetFiles
from portgrad.graph.lifting import lift_parameters
from portgrad.graph.names import Names
from portgrad.graph.nearest import listed
from portgrad.graph.ports import Description, describe
from portgrad.graph.targets import check_ports, resolve_of, resolve_outputs, resolve_targets
from portgrad.graph.types import type_name

Data = Mapping[str, ArrayLike] | ArrayLike
SESSIONS = 64


def load(
    source: bytes | str | Path | NetFiles, *, sessions: Sessions | None = None, threads: int = 0
) -> Net:
    """Load a net.

    Args:
        source: ONNX bytes, a path, or the files of a net with external data.
        sessions: a cache to share among nets; by default the net has its own.
        threads: threads for each run; 0 for one per core.

    Raises:
        InvalidNet: the bytes are no net that can be served.
    """
    if isinstance(source, str):
        source = Path(source)
    files = source if isinstance(source, NetFiles) else NetFiles(source)
    return Net(files, sessions=sessions, threads=threads)


class Net:
    """An uploaded net: immutable, safe to use from several threads.

    Attributes:
        id: SHA-256 (hex) of the net's manifest.
        names: its ports, parameters and inner values.
    """

    def __init__(
        self, files: NetFiles, *, sessions: Sessions | None = None, threads: int = 0
    ) -> None:
        self.id = files.net_id()
        self._model = load_model(files)
        self.names = Names(self._model)
        lift_parameters(self._model, self.names)
        cache = sessions if sessions is not None else Cache(SESSIONS)
        self._executor = Executor(self.id, self._model, self.names, cache, threads)

    @property
    def description(self) -> Description:
        """Ports and parameters: dtype, shape, what is differentiable and if not, why."""
        opset = self._model.meta["opset"]
        return describe(
            self.names,
            opset=opset,
            obstacles=obstacles(self._model),
            warnings=(*self._model.meta["warnings"], *foreseen(self._model)),
        )

    def check(self) -> None:
        """Raise Unsupported where onnxruntime cannot run the forward pass."""
        self._executor.compiled(Plan(outputs=tuple(self.names.outputs)))

    def survey(self, *, quantized: str | None = None) -> Survey:
        """What the net is made of and what stands in the way of its gradient.

        The gradient is that of all floating outputs with respect to all input ports and parameters
        that have one; it is compiled, but not run.

        Args:
            quantized: as for `gradient`.
        """
        wrt = [
            name
            for name, value in {**self.names.inputs, **self.names.parameters}.items()
            if self.names.none_reason(value) is None
        ]
        of = [n for n, value in self.names.outputs.items() if self.names.none_reason(value) is None]
        return survey(self._model, wrt, of, _quantized(quantized))

    def evaluate(
        self, data: Data, *, outputs: bool | list[Any] = True, batch: str | None = None
    ) -> Outputs:
        """The forward pass.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            outputs: all output ports (True), or names of output ports and inner values.
            batch: forces a reading of the shapes: as_is, example or each.

        Returns:
            Outputs by name.

        Raises:
            InvalidRequest: the data do not fit the net.
            RunFailed: the runtime failed on these data.
        """
        wanted = resolve_outputs(self.names, outputs)
        if not wanted:
            raise _nothing_asked()
        plan = Plan(outputs=tuple(wanted))
        done = self._executor.execute(plan, self._arrays(data), {}, batch)
        return Outputs(done.results.outputs, done.timings)

    def gradient(
        self,
        data: Data,
        *,
        wrt: str | list[Any] = "inputs",
        of: str | list[Any] | None = None,
        output_gradients: Mapping[str, ArrayLike] | None = None,
        outputs: bool | list[Any] = False,
        batch: str | None = None,
        quantized: str | None = None,
    ) -> Gradients:
        """Gradients of a sum of outputs.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            wrt: "inputs", "parameters", "all", a name, or a list of names and paths.
            of: what is summed: names of output ports and inner values. By default what is
                imposed, else all floating output ports.
            output_gradients: dE/d(output) for an E that the caller has in mind, imposed in place
                of ones; of the output's shape, or broadcasting to it.
            outputs: outputs to give back too: all (True), none (False), or names.
            batch: forces a reading of the shapes: as_is, example or each.
            quantized: what becomes of gradients where numbers are quantised: "exact", the default,
                where it is zero, or "straight_through", the estimator that passes rounding.

        Returns:
            Gradients by tensor, each with its target's dtype and shape; those of parameters and
            of ports that all examples share are totals over the batch.

        Raises:
            InvalidRequest: the request does not fit the net.
            Unsupported: an operator on a needed path has no derivative here.
            RunFailed: the runtime failed on these data.
        """
        targets = resolve_targets(self.names, wrt)
        imposed = self._imposed({} if output_gradients is None else output_gradients)
        of_values = resolve_of(self.names, of, imposed)
        wanted = resolve_outputs(self.names, outputs)
        plan = Plan(
            tuple(targets.values),
            tuple(of_values),
            tuple(imposed),
            tuple(wanted),
            _quantized(quantized),
        )
        done = self._executor.execute(plan, self._arrays(data), imposed, batch)
        return Gradients(
            done.results.gradients,
            targets.asked,
            done.results.outputs,
            targets.none,
            done.warnings,
            done.timings,
        )

    def value_and_gradient(
        self, data: Data, *, outputs: bool | list[Any] = True, **options: Any
    ) -> tuple[Outputs, Gradients]:
        """Outputs and gradients from one run; arguments as those of `gradient`."""
        found = self.gradient(data, outputs=outputs, **options)
        return Outputs(found.outputs, found.timings), found

    def export_gradient(
        self,
        path: str | Path | None = None,
        *,
        wrt: str | list[Any] = "inputs",
        of: str | list[Any] | None = None,
        outputs: bool | list[Any] = False,
        seeds: bool = False,
        quantized: str | None = None,
        external: bool | None = None,
    ) -> GradientFile:
        """The gradient as an ONNX file of standard operators, for any runtime.

        Its inputs are the net's; its outputs are `outputs` and `grad/NAME` for each target.

        Args:
            path: where it is written, if it is.
            wrt, of, outputs, quantized: as for `gradient`.
            seeds: whether gradients are imposed, as further inputs `seed/NAME` shaped like the
                outputs; otherwise they are ones.
            external: whether the weights are written to a second file, `PATH.data`; by default
                where one cannot hold them. For `path` alone.

        Returns:
            What the file has; `to_bytes()` and `save(path)` give it.

        Raises:
            InvalidRequest: the request does not fit the net, or the file cannot be written.
            Unsupported: an operator on a needed path has no derivative here, or one cannot be
                said in standard operators.
        """
        targets = resolve_targets(self.names, wrt)
        file = gradient_file(
            self._model,
            self.id,
            targets,
            of=tuple(resolve_of(self.names, of)),
            outputs=tuple(resolve_outputs(self.names, outputs)),
            seeds=seeds,
            quantized=_quantized(quantized),
        )
        return file if path is None else file.save(path, external=external)

    def _arrays(self, data: Data) -> dict[str, Value]:
        ports = self.names.inputs
        if not isinstance(data, Mapping):
            if len(ports) != 1:
                raise InvalidRequest(
                    f"The net has {len(ports)} input ports, and the data name none.",
                    code="missing_port",
                    where="data",
                    expected=f"an array for each of {listed(ports)}" if ports else "no arrays",
                    found="a bare array",
                    remedy="Send the arrays by the names of their ports.",
                )
            data = {next(iter(ports)): data}
        check_ports(self.names, data)
        return {
            name: as_port_value(data[name], type_name(port.type), name)
            for name, port in ports.items()
        }

    def _imposed(self, given: Mapping[str, ArrayLike]) -> dict[str, Array]:
        if not isinstance(given, Mapping):
            raise _unnamed_seeds(self.names)
        resolved = resolve_of(self.names, None, given) if given else {}
        return {
            name: as_port_array(given[name], type_name(value.type), f"output_gradients.{name}")
            for name, value in resolved.items()
        }


def _quantized(given: str | None) -> Quantized:
    if given is None or given == EXACT:
        return EXACT
    if given == STRAIGHT_THROUGH:
        return STRAIGHT_THROUGH
    raise InvalidRequest(
        "The field `quantized` has a value that it does not take.",
        code="invalid_field",
        where="quantized",
        expected=f"{EXACT!r} or {STRAIGHT_THROUGH!r}",
        found=repr(given),
        remedy="Leave it out for exact gradients.",
    )


def _nothing_asked() -> InvalidRequest:
    return InvalidRequest(
        "The call asks for no output.",
        code="invalid_field",
        where="outputs",
        expected="true, or a list of at least one output port or inner value",
        remedy="Leave `outputs` out for all output ports.",
    )


def _unnamed_seeds(names: Names) -> InvalidRequest:
    return InvalidRequest(
        "`output_gradients` does not name the outputs that it is imposed at.",
        code="invalid_field",
        where="output_gradients",
        expected="an array by the name of each output or inner value",
        remedy=f"Name them: {listed(names.outputs)}." if names.outputs else None,
    )
