"""Settings that say who may do what, and contradict one another."""

from __future__ import annotations

from portgrad.api.auth.issuer import is_safe
from portgrad.errors import PortgradError
from portgrad.settings import Settings


def refuse_contradictions(settings: Settings) -> None:
    """Refuse settings that contradict one another: PortgradError, `invalid_settings`."""
    issuer, audience, url = settings.jwt_issuer, settings.jwt_audience, settings.jwt_jwks_url
    if (audience or url) and not issuer:
        raise _contradiction(
            "PORTGRAD_JWT_AUDIENCE and PORTGRAD_JWT_JWKS_URL say nothing without an issuer.",
            "Set PORTGRAD_JWT_ISSUER, or leave them out.",
        )
    if issuer and not audience:
        raise _contradiction(
            "With PORTGRAD_JWT_ISSUER alone, tokens that were meant for others would be taken.",
            "Set PORTGRAD_JWT_AUDIENCE to what the issuer calls this service.",
        )
    if issuer and settings.auth != "required":
        raise _contradiction(
            "PORTGRAD_JWT_ISSUER is set, but nobody has to prove who they are.",
            "Set PORTGRAD_AUTH=required, or leave the issuer out.",
        )
    if issuer and not is_safe(url or issuer):
        raise _contradiction(
            "The issuer's keys would be fetched where others can change them on the way.",
            "Use an address with https, in PORTGRAD_JWT_ISSUER or PORTGRAD_JWT_JWKS_URL.",
        )


def _contradiction(detail: str, remedy: str) -> PortgradError:
    return PortgradError(detail, code="invalid_settings", where="settings", remedy=remedy)
