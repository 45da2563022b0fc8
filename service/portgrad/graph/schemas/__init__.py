"""What onnx does not know of operators, or knows wrongly, put into its schemas."""

from portgrad.graph.schemas import classical, contrib, training


def register() -> None:
    """Make onnx know it, once for the process."""
    classical.register()
    contrib.register()
    training.register()
