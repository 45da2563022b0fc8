"""The rules, one file per family of operators; importing this package registers them all."""

from portgrad.autodiff.rules import arithmetic, linear_algebra, reductions, shaping, unary

__all__ = ["arithmetic", "linear_algebra", "reductions", "shaping", "unary"]
