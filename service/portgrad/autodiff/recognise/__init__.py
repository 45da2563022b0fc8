"""Recognising what exporters write out: norms and activations, each then one operator."""

from portgrad.autodiff.recognise.regions import StandIn, recognise

__all__ = ["StandIn", "recognise"]
