"""What a net on a service has, as the service describes it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from portgrad_client import description
from portgrad_client.description import Parameter, Port
from portgrad_client.errors import InvalidAnswerError
from portgrad_client.replies import fields
from portgrad_client.transport import Transport


class Described:
    """A net by its description: see `portgrad_client.net.Net`, which has the calls besides."""

    def __init__(self, transport: Transport, described: Mapping[str, Any]) -> None:
        self.transport = transport
        self._described = described
        try:
            self.id: str = described["id"]
            self.names: tuple[str, ...] = tuple(described["names"])
            self.shared = bool(described.get("shared", False))
            self.batchable = bool(described.get("batchable", False))
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
        return fields(self.transport.call("GET", self.path), "parameters")

    def share(self) -> None:
        """Let everybody use the net, by its id. Its names stay yours."""
        self.transport.call("PUT", f"{self.path}/shared")
        self.shared = True

    def unshare(self) -> None:
        """Keep the net to yourself."""
        self.transport.call("DELETE", f"{self.path}/shared")
        self.shared = False

    def delete(self) -> None:
        """Remove the net with all your names of it from the service."""
        self.transport.call("DELETE", self.path)

    @property
    def path(self) -> str:
        """Its path on the service."""
        return f"/nets/{self.id}"

    @cached_property
    def taken(self) -> frozenset[str]:
        """Names of its input ports and parameters, which mean nothing else in a flat file."""
        return frozenset(port.name for port in (*self.inputs, *self.parameters))
