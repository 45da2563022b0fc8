"""The query of a request: each parameter once, as which of two was meant is anybody's guess."""

from __future__ import annotations

from collections import Counter

from starlette.requests import Request

from portgrad.errors import InvalidRequest


async def each_once(request: Request) -> None:
    """Refuse a query parameter that stands twice."""
    once_but(request, frozenset())


def once_but(request: Request, lists: frozenset[str]) -> None:
    """Refuse a query parameter that stands twice, but for those that are lists."""
    names = Counter(name for name, _ in request.query_params.multi_items())
    twice = next((n for n, count in names.items() if count > 1 and n not in lists), None)
    if twice is not None:
        raise InvalidRequest(
            f"The query parameter {twice!r} stands twice.",
            code="invalid_field",
            where=twice,
            expected="each query parameter once",
            found=f"{names[twice]} times",
            remedy="Send the one that is meant.",
        )
