"""API keys as callers."""

from __future__ import annotations

from portgrad.api.auth.callers import SCOPES, Caller, Quota
from portgrad.errors import Unauthenticated
from portgrad.store.keys import KEY, Key, Keys

PREFIX = "pg_"


class KeyHolders:
    """Tells who holds a key."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        # By the object itself, as `Keys` gives the same one until its file is another.
        self._callers: dict[str, tuple[Key, Caller]] = {}

    def caller(self, credential: str) -> Caller:
        """Who holds this key, by what is on the disk now.

        Raises:
            Unauthenticated: `invalid_key`; or, to who has the right secret, `key_revoked` or
                `key_expired`.
        """
        form = KEY.fullmatch(credential)
        key = self._keys.get(form[1]) if form else None
        if form is None or key is None or not key.fits(form[2]):
            raise _refused("This is no key of this service.", code="invalid_key")
        if key.revoked is not None:
            raise _refused("This key was revoked.", code="key_revoked")
        if key.expired:
            raise _refused("The time of this key is over.", code="key_expired")
        known = self._callers.get(key.id)
        if known is None or known[0] is not key:
            known = key, _caller(key)
            self._callers[key.id] = known
        return known[1]


def _caller(key: Key) -> Caller:
    quota = Quota(key.requests_per_minute, key.max_concurrent, key.max_nets, key.max_bytes)
    return Caller(key.owner, SCOPES.intersection(key.scopes), key.id, quota)


def _refused(detail: str, *, code: str) -> Unauthenticated:
    return Unauthenticated(
        detail,
        code=code,
        where="Authorization",
        remedy="Ask whoever runs this service for a key: `portgrad keys create`.",
    )
