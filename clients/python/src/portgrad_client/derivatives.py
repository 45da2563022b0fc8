"""The calls on a net beyond its gradient: products, Jacobians and Hessians, and the check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from portgrad_client.arguments import Settings, Targets, Wanted, targets
from portgrad_client.calls import ask, send
from portgrad_client.checks import Report, report
from portgrad_client.described import Described
from portgrad_client.dtypes import ArrayLike
from portgrad_client.results import Hessian, Jacobian, Products, Tangents


class Derivatives(Described):
    """A net with these calls; see `portgrad_client.net.Net`."""

    def jvp(
        self,
        data: ArrayLike,
        *,
        tangents: Mapping[str, ArrayLike],
        of: Targets | None = None,
        outputs: Wanted = None,
        quantized: str | None = None,
        stacked: bool = False,
        **settings: Unpack[Settings],
    ) -> Tangents:
        """Derivatives of outputs along a direction of ports, parameters and inner values.

        Args:
            data, outputs, quantized, settings: as for `gradient`.
            tangents: the direction: arrays by name of an input port, parameter or inner value,
                each shaped like it; what is not named does not move.
            of: names of output ports and inner values; by default all floating output ports.
            stacked: every tangent has an axis of K before its shape, and so has every derivative.

        Returns:
            Derivatives by output, each shaped like it.
        """
        answer = ask(
            self,
            "jvp",
            data,
            settings,
            tangents=tangents,
            stacked=stacked,
            outputs=outputs,
            of=targets(of, "of"),
            quantized=quantized,
        )
        return Tangents(answer.found, **answer.beside)

    def hvp(
        self,
        data: ArrayLike,
        *,
        tangents: Mapping[str, ArrayLike],
        wrt: Targets | None = None,
        of: Targets | None = None,
        output_gradients: Mapping[str, ArrayLike] | None = None,
        outputs: Wanted = None,
        quantized: str | None = None,
        stacked: bool = False,
        **settings: Unpack[Settings],
    ) -> Products:
        """Products of the Hessian and a direction: how the gradient changes along it.

        Args:
            data, of, output_gradients, outputs, quantized, settings: as for `gradient`.
            tangents: the direction, as for `jvp`.
            wrt: what the gradient is with respect to; by default what the tangents are at. With
                other targets these are mixed second derivatives.
            stacked: every tangent has an axis of K before its shape, and so has every product.

        Returns:
            Products by tensor, each shaped like it.
        """
        answer = ask(
            self,
            "hvp",
            data,
            settings,
            tangents=tangents,
            output_gradients=output_gradients,
            stacked=stacked,
            outputs=outputs,
            wrt=targets(wrt, "wrt"),
            of=targets(of, "of"),
            quantized=quantized,
        )
        return Products(answer.found, **answer.targeted)

    def jacobian(
        self,
        data: ArrayLike,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        outputs: Wanted = None,
        quantized: str | None = None,
        direction: str | None = None,
        **settings: Unpack[Settings],
    ) -> Jacobian:
        """Derivatives of every number of the outputs by every number of the targets.

        Args:
            data, wrt, outputs, quantized, settings: as for `gradient`.
            of: names of output ports and inner values; by default all floating output ports.
            direction: "forward", "reverse", or by default the cheaper one.

        Returns:
            Blocks by output and target of the shape (*output, *target). Of examples that do not
            depend on each other there is one for each, on an axis before it, with the shapes of
            one example; `batch="as_is"` gives the Jacobian of the whole arrays instead.

        Raises:
            TooLargeError: the answer would be larger than the service allows.
        """
        answer = ask(
            self,
            "jacobian",
            data,
            settings,
            outputs=outputs,
            wrt=targets(wrt, "wrt"),
            of=targets(of, "of"),
            quantized=quantized,
            direction=direction,
        )
        return Jacobian(answer.found, **answer.told, **answer.targeted)

    def hessian(
        self,
        data: ArrayLike,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        output_gradients: Mapping[str, ArrayLike] | None = None,
        outputs: Wanted = None,
        quantized: str | None = None,
        **settings: Unpack[Settings],
    ) -> Hessian:
        """Second derivatives of a sum of outputs by every two numbers of the targets.

        Args:
            data, wrt, of, output_gradients, outputs, quantized, settings: as for `gradient`.

        Returns:
            Blocks by target and target of the shape (*a, *b). Of examples that do not depend on
            each other there is one for each, on an axis before it, with the shapes of one example;
            the total over them where both targets are shared, as parameters are.

        Raises:
            TooLargeError: the answer would be larger than the service allows.
        """
        answer = ask(
            self,
            "hessian",
            data,
            settings,
            output_gradients=output_gradients,
            outputs=outputs,
            wrt=targets(wrt, "wrt"),
            of=targets(of, "of"),
            quantized=quantized,
        )
        return Hessian(answer.found, **answer.told, **answer.targeted)

    def gradcheck(
        self,
        data: ArrayLike,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        output_gradients: Mapping[str, ArrayLike] | None = None,
        directions: int | None = None,
        quantized: str | None = None,
        tolerance: float | None = None,
        **settings: Unpack[Settings],
    ) -> Report:
        """The gradient held against differences of the outputs along random lines.

        The net is evaluated in double where it can be; `precision="native"` asks for its own.

        Args:
            data, wrt, of, output_gradients, quantized, settings: as for `gradient`. Each target
                is moved alone.
            directions: how many random directions are tried for each target; 3 by default.
            tolerance: how far the gradient may be off, of the scale of what is compared; by
                default 1e-6 in double.

        Returns:
            A verdict for each target: ok, kink, jump, non_finite, unclear or disagrees; and where
            a gradient disagrees, the first value whose derivative is wrong.

        Raises:
            TooLargeError: the net would be evaluated too often.
        """
        response = send(
            self,
            "gradcheck",
            data,
            settings,
            output_gradients=output_gradients,
            wrt=targets(wrt, "wrt"),
            of=targets(of, "of"),
            directions=directions,
            quantized=quantized,
            tolerance=tolerance,
        )
        return report(response)
