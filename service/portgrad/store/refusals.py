"""What is said of nets that are not there, or not the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from portgrad.errors import Forbidden, NotFound
from portgrad.graph.nearest import offer
from portgrad.store.nets import is_id


def not_found(ref: str, names: Callable[[], Iterable[str]]) -> NotFound:
    """The one answer for what does not exist and for what is somebody else's.

    Args:
        ref: what was asked for.
        names: the names of who asked; nobody else's are offered.
    """
    near = None if is_id(ref) else offer(ref, sorted({*names()} - {ref}))
    if is_id(ref.lower()) and not is_id(ref):
        near = "Write the id in lower case."
    return NotFound(
        f"There is no net {ref[:80]!r} here.",
        code="net_not_found",
        where=ref[:80],
        expected="the id or a name of a net that was uploaded and not removed",
        remedy=near or "List the nets that are here, or upload this one.",
    )


def not_owner(net_id: str) -> Forbidden:
    """A net that is seen, because it is shared or by an admin, and is somebody else's."""
    return Forbidden(
        f"The net {net_id} is not yours to change.",
        code="not_owner",
        where=net_id,
        expected="a net that you uploaded",
        remedy="Upload it yourself to have it as your own. An admin takes a net away from all of "
        "its owners by `?everyone=true`.",
    )
