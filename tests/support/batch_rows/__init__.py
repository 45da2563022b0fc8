"""Small nets that can run as one batch, at least one for each operator of the table.

Ports named x… get the batch, all others are shared by the examples. A row ends with the axis on
which `y` carries the batch, and the opset where it is not 21.
"""

from support.batch_rows import (
    along,
    classical,
    elementwise,
    indexing,
    moves,
    products,
    reshapes,
    sequences,
    sizes,
    windows,
)

_FAMILIES = (
    elementwise,
    along,
    windows,
    products,
    moves,
    reshapes,
    indexing,
    sequences,
    sizes,
    classical,
)

ACCEPTED = [row for family in _FAMILIES for row in family.ROWS]
