"""The derivatives of a net beyond the gradient: products, Jacobians, Hessians."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from portgrad.engine import calls
from portgrad.engine.arrays import ArrayLike
from portgrad.engine.gradcheck import Report, gradcheck
from portgrad.engine.limits import Limits
from portgrad.engine.requests import Data
from portgrad.engine.results import Hessian, Jacobian, Products, Tangents
from portgrad.engine.variants import Settings, Variants

# Names and paths of targets, or of what is summed; see `Net.gradient`.
Targets = str | list[Any]
# What is imposed at outputs: arrays, or class seeds such as {"index": 3} and {"at": [0, 1]}.
Imposed = Mapping[str, ArrayLike | Mapping[str, Any]]
Wanted = bool | list[Any]


class Derivatives:
    """What a net can be asked for beside its outputs and its gradient; see `Net`."""

    _variants: Variants
    _limits: Limits

    def jvp(
        self,
        data: Data,
        *,
        tangents: Mapping[str, ArrayLike],
        of: Targets | None = None,
        outputs: Wanted = False,
        quantized: str | None = None,
        stacked: bool = False,
        **settings: Unpack[Settings],
    ) -> Tangents:
        """The derivative of outputs along a direction: a Jacobian-vector product.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            tangents: the direction: an array for each input port, parameter or inner value that
                moves, shaped like it.
            of: names of output ports and inner values; by default all floating output ports.
            outputs: as for `gradient`.
            quantized: as for `gradient`.
            stacked: K directions in one run: all tangents have the shape (K, *value), and so have
                the results.
            settings: see `Settings`.

        Returns:
            The tangent of each output, shaped like it.

        Raises:
            InvalidRequest, LimitExceeded, Unsupported, RunFailed: as for `gradient`.
        """
        return calls.jvp(
            self._variants.setting(**settings),
            data,
            self._limits.answer_bytes,
            tangents=tangents,
            of=of,
            outputs=outputs,
            quantized=quantized,
            stacked=stacked,
        )

    def hvp(
        self,
        data: Data,
        *,
        tangents: Mapping[str, ArrayLike],
        wrt: Targets | None = None,
        of: Targets | None = None,
        output_gradients: Imposed | None = None,
        outputs: Wanted = False,
        quantized: str | None = None,
        stacked: bool = False,
        **settings: Unpack[Settings],
    ) -> Products:
        """The derivative of the gradient along a direction: a Hessian-vector product.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            tangents: the direction, as for `jvp`.
            wrt: the targets of the gradient, as for `gradient`; by default what has tangents.
                Others give mixed second derivatives.
            of: what is summed, as for `gradient`.
            output_gradients: as for `gradient`; held fixed.
            outputs: as for `gradient`.
            quantized: as for `gradient`.
            stacked: K directions in one run: all tangents have the shape (K, *value), and each
                product gets a leading axis of K. What is imposed at outputs is not stacked.
            settings: see `Settings`.

        Returns:
            A product for each target, shaped like it; those of parameters are totals over the
            batch.

        Raises:
            InvalidRequest, LimitExceeded, Unsupported, RunFailed: as for `gradient`.
        """
        return calls.hvp(
            self._variants.setting(**settings),
            data,
            self._limits.answer_bytes,
            tangents=tangents,
            wrt=wrt,
            of=of,
            output_gradients=output_gradients,
            outputs=outputs,
            quantized=quantized,
            stacked=stacked,
        )

    def jacobian(
        self,
        data: Data,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        outputs: Wanted = False,
        quantized: str | None = None,
        direction: str | None = None,
        **settings: Unpack[Settings],
    ) -> Jacobian:
        """Each element of the outputs differentiated by each element of the targets.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            wrt: the targets, as for `gradient`.
            of: names of output ports and inner values; by default all floating output ports.
            outputs: as for `gradient`.
            quantized: as for `gradient`.
            direction: "forward" or "reverse"; by default whichever takes fewer products.
            settings: see `Settings`.

        Returns:
            Blocks of shape (*of, *wrt) by output and target. Where the net keeps the examples of
            a batch apart, there is one for each example, on a leading axis, and no zeros between
            examples; `batch="as_is"` gives the Jacobian of the whole arrays instead, as does an
            inner value in which they share an axis with other elements.

        Raises:
            InvalidRequest: as for `gradient`; `examples_may_meet`.
            LimitExceeded: the Jacobian would be larger than an answer may be.
            Unsupported, RunFailed: as for `gradient`.
        """
        return calls.jacobian(
            self._variants.setting(**settings),
            data,
            self._limits.answer_bytes,
            wrt=wrt,
            of=of,
            outputs=outputs,
            quantized=quantized,
            direction=direction,
        )

    def hessian(
        self,
        data: Data,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        output_gradients: Imposed | None = None,
        outputs: Wanted = False,
        quantized: str | None = None,
        **settings: Unpack[Settings],
    ) -> Hessian:
        """The gradient of each target differentiated by each element of each target.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            wrt: the targets, as for `gradient`.
            of: what is summed, as for `gradient`.
            output_gradients: as for `gradient`; held fixed.
            outputs: as for `gradient`.
            quantized: as for `gradient`.
            settings: see `Settings`.

        Returns:
            Blocks of shape (*a, *b) by two targets; with a leading axis for the examples where
            they are apart and a or b is each example's own, and the total over the batch where
            both are shared, as parameters are.

        Raises:
            InvalidRequest: as for `gradient`; `examples_may_meet`.
            LimitExceeded: the Hessian would be larger than an answer may be.
            Unsupported, RunFailed: as for `gradient`.
        """
        return calls.hessian(
            self._variants.setting(**settings),
            data,
            self._limits.answer_bytes,
            wrt=wrt,
            of=of,
            output_gradients=output_gradients,
            outputs=outputs,
            quantized=quantized,
        )

    def gradcheck(
        self,
        data: Data,
        *,
        wrt: Targets = "inputs",
        of: Targets | None = None,
        output_gradients: Imposed | None = None,
        directions: int = 3,
        quantized: str | None = None,
        tolerance: float | None = None,
        **settings: Unpack[Settings],
    ) -> Report:
        """Hold the gradient against differences of the outputs along random lines.

        The net is evaluated in double precision where it can be; `precision="native"` asks for
        its own, and "float64" refuses what cannot be had in double. Directions and what the net
        draws depend on `random_seed`, by default 0.

        Args:
            data: an array for each input port, or the bare array if there is one port.
            wrt, of, output_gradients, quantized: as for `gradient`. Each target is moved alone.
            directions: how many random directions are tried for each target, at most 1000; the
                net is evaluated up to 16 times for each.
            tolerance: how far the gradient may be off, of the scale of what is compared; by
                default 1e-6 in double precision, and 3√ε in coarser ones.
            settings: see `Settings`.

        Returns:
            A verdict for each target: ok, kink, jump, non_finite, unclear or disagrees; and where
            a gradient disagrees, the first value whose derivative is wrong.

        Raises:
            InvalidRequest: as for `gradient`.
            LimitExceeded: the net would be evaluated too often.
            Unsupported, RunFailed: as for `gradient`.
        """
        return gradcheck(
            self._variants,
            data,
            settings,
            wrt=wrt,
            of=of,
            output_gradients=output_gradients,
            directions=directions,
            quantized=quantized,
            tolerance=tolerance,
        )
