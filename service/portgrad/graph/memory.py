"""What onnx and the runtime say when memory runs out, or when a size is none that memory has."""

from __future__ import annotations

import re

_READ = 20_000  # characters of a message: names in it may be long
_RAN_OUT = re.compile(
    r"bad_alloc|bad_array_new_length|bad array new length|Failed to allocate memory"
    r"|length_error|larger than max_size|_M_default_append|_M_fill_insert|_M_create"
    r"|Unable to allocate|array is too big|Maximum allowed (?:size|dimension) exceeded"
    r"|[Oo]verflow|Size\(\) must be >= 0|has too many elements"
    r"|would require more than|exceeds the supported range"
)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there is no memory, or that no memory could be enough."""
    return isinstance(error, MemoryError) or _RAN_OUT.search(str(error)[:_READ]) is not None
