"""A net on a service: its ports, and the calls on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from portgrad_client import asking, download
from portgrad_client.arguments import Settings, Targets, Wanted, targets
from portgrad_client.calls import ask
from portgrad_client.derivatives import Derivatives
from portgrad_client.dtypes import ArrayLike
from portgrad_client.results import Gradients, Outputs


class Net(Derivatives):
    """A net on a service. It never changes: it stays this one when its names move to others.

    Every call takes the options of `portgrad_client.arguments.Settings` too: `parameters`, `mode`,
    `random_seed`, `precision` and `batch`. What a call raises is in `portgrad_client.errors`;
    `InvalidRequestError` where the request does not fit the net.

    Attributes:
        id: SHA-256 (hex) of its files.
        names: the names that you had given it when it was looked up.
        shared: whether everybody may use it, as far as was heard last.
        batchable: whether calls of it that wait together are run as one batch.
    """

    def evaluate(
        self,
        data: ArrayLike,
        *,
        outputs: Wanted = None,
        **settings: Unpack[Settings],
    ) -> Outputs:
        """The forward pass.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            outputs: names of output ports and inner values; by default all output ports.
            settings: how the net is run, see `portgrad_client.arguments.Settings`.

        Returns:
            Outputs by name.
        """
        return ask(self, "evaluate", data, settings, outputs=outputs).outputs

    def gradient(
        self,
        data: ArrayLike,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        output_gradients: Mapping[str, ArrayLike] | None = None,
        outputs: Wanted = None,
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
                of ones; of the output's shape, or broadcasting to it. In place of an array it
                may choose elements: {"index": 3}, one for each example or for all, on the last
                axis of an output with two; {"at": [0, 3]}, by every axis but that of examples.
            outputs: outputs to give back too: all (True), none, or names.
            quantized: what becomes of gradients where numbers are quantised: "exact", the default,
                where it is zero, or "straight_through", the estimator that passes rounding.
            stacked: every imposed array has exactly the shape (K, *output), with one K, and every
                gradient an axis of K first: K gradients from one forward pass.
            reduction: what becomes of the examples in gradients of parameters and of ports that
                they share: "sum", the default, "mean", or "per_example", an axis of them first.
            diagnostics: look for zeros, NaNs and infinities, and where they began.
            settings: how the net is run, see `portgrad_client.arguments.Settings`.

        Returns:
            Gradients by tensor, each with its target's dtype and shape, and with the axes above.

        Raises:
            UnsupportedOperatorError: an operator on a needed path has no derivative there.
        """
        answer = ask(
            self,
            "gradient",
            data,
            settings,
            output_gradients=output_gradients,
            stacked=stacked,
            outputs=outputs,
            wrt=targets(wrt, "wrt"),
            of=targets(of, "of"),
            quantized=quantized,
            reduction=reduction,
            diagnostics=diagnostics or None,
        )
        return Gradients(answer.found, answer.diagnostics, **answer.targeted)

    def value_and_gradient(
        self, data: ArrayLike, *, outputs: Wanted = True, **options: Any
    ) -> tuple[Outputs, Gradients]:
        """Outputs and gradients from one run; arguments as those of `gradient`."""
        found = self.gradient(data, outputs=outputs, **options)
        return found.outputs, found

    def export_gradient(
        self,
        path: str | Path,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        outputs: Wanted = None,
        seeds: bool = False,
        quantized: str | None = None,
        external: bool | None = None,
    ) -> tuple[Path, ...]:
        """Save the gradient as an ONNX file of standard operators, for any runtime.

        Its inputs are the net's; its outputs are `outputs` and `grad/NAME` for each target.

        Args:
            path: where; what is there is replaced.
            wrt, of, outputs, quantized: as for `gradient`.
            seeds: whether gradients are imposed, as further inputs `seed/NAME` shaped like the
                outputs; otherwise they are ones.
            external: whether the weights go into a second file, `PATH.data`; by default where one
                cannot hold them.

        Returns:
            The files, that of the graph first.

        Raises:
            UnsupportedOperatorError: an operator on a needed path has no derivative there, or one
                cannot be said in standard operators.
        """
        query = download.query_of(wrt=wrt, of=of, outputs=outputs, seeds=seeds, quantized=quantized)
        return download.save(self.transport, self.path, Path(path), query, external)

    def __call__(self, data: ArrayLike, properties: asking.Properties = None) -> Any:
        """The notation of Wolfram's NetPortGradient.

        Args:
            data: as for `evaluate`; keys `NetPortGradient(name)` impose gradients.
            properties: none for the outputs, the name of an output, a `NetPortGradient`, or a
                list of these.

        Returns:
            For no property the output, or a mapping where there are several; for a name or a
            `NetPortGradient` its array (for `All` a mapping of all); for a list a dict keyed by
            the properties as they were asked.
        """
        return asking.ask(self, data, properties)
