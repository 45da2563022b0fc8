"""Net: numpy in, numpy out. The library's face, and what the service runs behind HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from portgrad.autodiff import expand_gradients, foreseen, obstacles
from portgrad.autodiff.survey import Survey, survey
from portgrad.engine import calls, meanings, together
from portgrad.engine.cache import Cache
from portgrad.engine.derivatives import Derivatives, Imposed, Targets, Wanted
from portgrad.engine.export import gradient_file
from portgrad.engine.finding import Sessions
from portgrad.engine.limits import LIMITS, Limits
from portgrad.engine.plan import Plan
from portgrad.engine.requests import Data
from portgrad.engine.results import Gradients, Outputs
from portgrad.engine.variants import Settings, Variants
from portgrad.engine.written import GradientFile
from portgrad.graph.files import NetFiles
from portgrad.graph.lifting import lift_parameters
from portgrad.graph.load import load as load_model
from portgrad.graph.names import Names
from portgrad.graph.ports import Description, describe
from portgrad.graph.searching import PAUSED
from portgrad.graph.targets import resolve_of, resolve_outputs, resolve_targets

SESSIONS = 64


def load(
    source: bytes | str | Path | NetFiles,
    *,
    sessions: Sessions | None = None,
    threads: int = 0,
    limits: Limits = LIMITS,
) -> Net:
    """Load a net.

    Args:
        source: ONNX bytes, a path, or the files of a net with external data.
        sessions: a cache to share among nets; by default the net has its own.
        threads: threads for each run; 0 for one per core.
        limits: how large the net, and what is computed with it, may be.

    Raises:
        InvalidNet: the bytes are no net that can be served.
        LimitExceeded: the net is larger than it may be.
    """
    if isinstance(source, str):
        source = Path(source)
    files = source if isinstance(source, NetFiles) else NetFiles(source)
    return Net(files, sessions=sessions, threads=threads, limits=limits)


class Net(Derivatives):
    """An uploaded net: immutable, safe to use from several threads.

    Every call takes the settings of a run: `parameters`, `mode`, `random_seed`, `precision` and
    `batch`; see `Settings`.

    Attributes:
        id: SHA-256 (hex) of the net's manifest.
        names: its ports, parameters and inner values.
    """

    def __init__(
        self,
        files: NetFiles,
        *,
        sessions: Sessions | None = None,
        threads: int = 0,
        limits: Limits = LIMITS,
    ) -> None:
        with PAUSED:
            find_id = files.finding_id()
            self._model = load_model(files, nodes=limits.nodes, depth=limits.subgraph_depth)
            expand_gradients(self._model)
            self.names = Names(self._model)
            lift_parameters(self._model, self.names)
            self.id = find_id()
        cache = sessions if sessions is not None else Cache(SESSIONS)
        self._variants = Variants(
            self.id, self._model, self.names, cache, threads=threads, limits=limits
        )
        self._limits = limits

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
        executor = self._variants.setting().view.executor  # what a plain call runs
        executor.compiled(Plan(outputs=tuple(self.names.outputs)))

    def check_batchable(self) -> None:
        """Raise InvalidRequest, `not_batchable`, unless calls may share runs: their examples apart.

        The error names the node, port or value that stands in the way.
        """
        together.check(self._variants.plain.executor, self.names)

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
        return survey(self._model, wrt, of, meanings.quantised(quantized))

    def evaluate(
        self, data: Data, *, outputs: Wanted = True, **settings: Unpack[Settings]
    ) -> Outputs:
        """The forward pass.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            outputs: all output ports (True), or names of output ports and inner values.
            settings: see `Settings`.

        Returns:
            Outputs by name.

        Raises:
            InvalidRequest: the data do not fit the net.
            RunFailed: the runtime failed on these data.
        """
        return calls.evaluate(self._variants.setting(**settings), data, outputs)

    def gradient(
        self,
        data: Data,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        output_gradients: Imposed | None = None,
        outputs: Wanted = False,
        quantized: str | None = None,
        stacked: bool = False,
        reduction: str | None = None,
        diagnostics: bool = False,
        **settings: Unpack[Settings],
    ) -> Gradients:
        """Gradients of a sum of outputs.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            wrt: "inputs", "parameters", "all", a name, or a list of names and paths.
            of: what is summed: names of output ports and inner values. By default what is
                imposed, else all floating output ports.
            output_gradients: dE/d(output) for an E that the caller has in mind, imposed in place
                of ones; of the output's shape, or broadcasting to it. Or by class: {"index": 3}
                for the fourth class of a 2-D output, {"at": [i, …]} with an index for each axis
                that is not the batch's; for all examples, or a list of such for each.
            outputs: outputs to give back too: all (True), none (False), or names.
            quantized: what becomes of gradients where numbers are quantised: "exact", the default,
                where it is zero, or "straight_through", the estimator that passes rounding.
            stacked: K cotangents in one run: all that is imposed has the shape (K, *output), and
                each gradient gets a leading axis of K.
            reduction: of gradients that the examples share, those of parameters above all: "sum"
                over the examples (the default), "mean", or "per_example", one for each on a
                leading axis (after that of a stack).
            diagnostics: whether to say where gradients are zero, NaN or infinite, by target and
                example, and which inner value, and which cotangent, was the first that was not
                finite; the net is run again where there is something to look for.
            settings: see `Settings`.

        Returns:
            Gradients by tensor, each with its target's dtype and shape.

        Raises:
            InvalidRequest: the request does not fit the net.
            LimitExceeded: the gradients would be larger than an answer may be.
            Unsupported: an operator on a needed path has no derivative here.
            RunFailed: the runtime failed on these data.
        """
        return calls.gradient(
            self._variants.setting(**settings),
            data,
            self._limits.answer_bytes,
            wrt=wrt,
            of=of,
            output_gradients=output_gradients,
            outputs=outputs,
            quantized=quantized,
            stacked=stacked,
            reduction=reduction,
            diagnostics=diagnostics,
        )

    def evaluate_together(
        self, data: Sequence[Data], *, outputs: Wanted = True, **settings: Unpack[Settings]
    ) -> list[Outputs | None] | None:
        """The forward passes of several calls as one run.

        Args:
            data: what each call sends.
            outputs, settings: of all calls, as for `evaluate`.

        Returns:
            What each call finds, None for one that does not fit the others or is refused, and for
            all where they fail together: these are to be run alone. None in place of the list for
            a net, or for outputs, of which no calls can be run together.

        Raises:
            InvalidRequest: what all calls ask for does not fit the net.
        """
        setting = self._variants.setting(**settings)
        return calls.evaluate_together(setting, data, outputs)

    def gradient_together(
        self,
        data: Sequence[Data],
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        output_gradients: Sequence[Imposed | None] | None = None,
        outputs: Wanted = False,
        quantized: str | None = None,
        reduction: str | None = None,
        **settings: Unpack[Settings],
    ) -> list[Gradients | None] | None:
        """Gradients of several calls from one run.

        Args:
            data: what each call sends.
            output_gradients: what each call imposes.
            wrt, of, outputs, quantized, reduction, settings: of all calls, as for `gradient`.
                What the examples share has a gradient for each call only by example.

        Returns:
            As `evaluate_together`.
        """
        return calls.gradient_together(
            self._variants.setting(**settings),
            list(zip(data, output_gradients or [None] * len(data), strict=True)),
            wrt=wrt,
            of=of,
            outputs=outputs,
            quantized=quantized,
            reduction=reduction,
        )

    def value_and_gradient(
        self, data: Data, *, outputs: Wanted = True, **options: Any
    ) -> tuple[Outputs, Gradients]:
        """Outputs and gradients from one run, with one forward pass.

        Arguments are those of `gradient`.
        """
        found = self.gradient(data, outputs=outputs, **options)
        values = Outputs(found.outputs, found.timings, found.random_seed, found.warnings)
        return values, found

    def export_gradient(
        self,
        path: str | Path | None = None,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        outputs: Wanted = False,
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
            quantized=meanings.quantised(quantized),
        )
        return file if path is None else file.save(path, external=external)
