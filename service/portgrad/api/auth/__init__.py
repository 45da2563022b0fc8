"""Who asks, and what they may do: `callers` says what one is, `scopes` what each route wants."""

from portgrad.api.auth.callers import Caller, Quota, caller_of

__all__ = ["Caller", "Quota", "caller_of"]
