"""A net on a service: its ports, and the calls on it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from portgrad_client import asking, description, safetensors, wire
from portgrad_client.arguments import Targets, Wanted, given, names, targets, unchosen_as_lists
from portgrad_client.casting import cast, cast_data, output
from portgrad_client.description import Parameter, Port
from portgrad_client.dtypes import ArrayLike
from portgrad_client.errors import InvalidAnswerError
from portgrad_client.results import Gradients, Outputs
from portgrad_client.transport import Transport, fields


class Net:
    """A net on a service. It never changes: it stays this one when its names move to others.

    Attributes:
        id: SHA-256 (hex) of its files.
        names: the names that it had when it was looked up.
    """

    def __init__(self, transport: Transport, described: Mapping[str, Any]) -> None:
        self._transport = transport
        self._described = described
        try:
            self.id: str = described["id"]
            self.names: tuple[str, ...] = tuple(described["names"])
            self._inputs = tuple(description.port(entry) for entry in described["inputs"])
            self._outputs = tuple(description.port(entry) for entry in described["outputs"])
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidAnswerError(
                "The answer does not describe a net.",
                found=f"{type(error).__name__}: {error}",
                remedy="Check that the address is that of a Portgrad service.",
            ) from error

    def __repr__(self) -> str:
        return f"<Net {', '.join(self.names) or self.id[:12]}>"

    @property
    def inputs(self) -> tuple[Port, ...]:
        """The input ports."""
        return self._inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        """The output ports."""
        return self._outputs

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters. A net out of a list is described to its parameters only here."""
        complete = "parameters" in self._described
        entries = (self._described if complete else self.describe())["parameters"]
        return tuple(description.parameter(entry) for entry in entries)

    def describe(self) -> dict[str, Any]:
        """The service's whole description of the net, as it is now."""
        return fields(self._transport.call("GET", self._path), "parameters")

    def delete(self) -> None:
        """Remove the net with all its names from the service."""
        self._transport.call("DELETE", self._path)

    def evaluate(
        self, data: ArrayLike, *, outputs: Wanted = None, batch: str | None = None
    ) -> Outputs:
        """The forward pass.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            outputs: names of output ports and inner values; by default all output ports.
            batch: forces a reading of the shapes: as_is, example or each.

        Returns:
            Outputs by name.

        Raises:
            InvalidRequestError: the data do not fit the net.
            PortgradError: see `portgrad_client.errors`.
        """
        options = given(outputs=names(outputs), batch=batch)
        arrays = cast_data(data, self.inputs)
        wanted = True if outputs is None else outputs
        call = wire.Call("evaluate", arrays, options=options, accept=self._accept(wanted))
        return self._ordered(self._post(call))

    def gradient(
        self,
        data: ArrayLike,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        output_gradients: Mapping[str, ArrayLike] | None = None,
        outputs: Wanted = None,
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
            outputs: outputs to give back too: all (True), none, or names.
            batch: forces a reading of the shapes: as_is, example or each.
            quantized: what becomes of gradients where numbers are quantised: "exact", the default,
                where it is zero, or "straight_through", the estimator that passes rounding.

        Returns:
            Gradients by tensor, each with its target's dtype and shape; those of parameters and
            of ports that all examples share are totals over the batch.

        Raises:
            InvalidRequestError: the request does not fit the net.
            UnsupportedOperatorError: an operator on a needed path has no derivative there.
            PortgradError: see `portgrad_client.errors`.
        """
        options = given(
            wrt=targets(wrt, "wrt"),
            of=None if of is None else targets(of, "of"),
            outputs=names(outputs),
            batch=batch,
            quantized=quantized,
        )
        call = wire.Call(
            "gradient",
            cast_data(data, self.inputs),
            self._seeds(output_gradients or {}),
            options,
            self._taken if output_gradients else frozenset(),
            self._accept(outputs),
        )
        answer = self._post(call)
        return Gradients(
            answer.gradients,
            answer.targets,
            self._ordered(answer),
            answer.none,
            answer.warnings,
            answer.timings,
            answer.request_id,
        )

    def value_and_gradient(
        self, data: ArrayLike, *, outputs: Wanted = True, **options: Any
    ) -> tuple[Outputs, Gradients]:
        """Outputs and gradients from one call; arguments as those of `gradient`."""
        found = self.gradient(data, outputs=outputs, **options)
        return found.outputs, found

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

    @property
    def _path(self) -> str:
        return f"/nets/{self.id}"

    @cached_property
    def _taken(self) -> frozenset[str]:
        return frozenset(port.name for port in (*self.inputs, *self.parameters))

    def _accept(self, outputs: Wanted) -> str:
        """safetensors, unless an output that is asked for would not fit in it."""
        asked = [
            port
            for port in self.outputs
            if outputs is True or (outputs and port.name in outputs)
        ]  # fmt: skip
        fits = all(
            safetensors.carries(port.dtype)
            and not port.name.startswith(wire.GRAD)
            and port.name != safetensors.METADATA
            for port in asked
        )
        return safetensors.MEDIA_TYPE if fits else wire.JSON

    def _seeds(self, imposed: Mapping[str, ArrayLike]) -> dict[str, Any]:
        """Imposed gradients in the dtype of their output.

        The dtype of an inner value is not known here: what has no chosen dtype travels as nested
        lists, which the service casts.
        """
        ports = {port.name: port for port in self.outputs}
        return {
            name: cast(value, ports[name]) if name in ports else unchosen_as_lists(value, name)
            for name, value in imposed.items()
        }

    def _post(self, call: wire.Call) -> wire.Answer:
        request = call.request()
        return wire.read(self._transport.call("POST", f"{self._path}/{call.kind}", **request))

    def _ordered(self, answer: wire.Answer) -> Outputs:
        """Outputs in the order of the ports, then inner values; lists made the arrays they are."""
        ports = {port.name: port for port in self.outputs}
        found = dict.fromkeys(name for name in ports if name in answer.outputs)
        arrays = {
            name: output(answer.outputs[name], ports.get(name))
            for name in found | dict.fromkeys(answer.outputs)
        }
        return Outputs(arrays, answer.warnings, answer.timings, answer.request_id)
