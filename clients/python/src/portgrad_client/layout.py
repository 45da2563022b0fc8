"""How arrays are called on the wire, in requests and answers of every kind of call.

request   NAME           an input port or parameter
          seed/NAME      an imposed gradient
          tangent/NAME   a tangent
answer    NAME           an output or inner value
          grad/NAME      a gradient         jacobian/OF/WRT   a block of a Jacobian
          jvp/NAME       a tangent          hessian/A/B       a block of a Hessian
          hvp/NAME       a product
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["evaluate", "gradient", "jvp", "hvp", "jacobian", "hessian", "gradcheck"]

# The fields of a JSON request that hold arrays, and their prefixes in a flat file.
REQUEST: Final = {
    "data": "",
    "parameters": "",
    "output_gradients": "seed/",
    "tangents": "tangent/",
}


@dataclass(frozen=True)
class Group:
    """How an answer holds what was computed.

    Attributes:
        field: its field in JSON.
        prefix: of its arrays in a flat file.
        nested: whether it has blocks by two names; a flat file then lists them under `blocks`.
        tells: fields that come with it.
    """

    field: str
    prefix: str
    nested: bool = False
    tells: tuple[str, ...] = ()


ANSWER: Final[dict[Kind, Group]] = {
    "gradient": Group("gradients", "grad/"),
    "jvp": Group("tangents", "jvp/"),
    "hvp": Group("products", "hvp/"),
    "jacobian": Group("jacobian", "jacobian/", nested=True, tells=("per_example", "direction")),
    "hessian": Group("hessian", "hessian/", nested=True, tells=("per_example",)),
}
# Arrays of these names are not told apart from outputs in a flat file.
PREFIXES: Final = tuple(group.prefix for group in ANSWER.values())
