"""What onnx does not know of operators, or knows wrongly, put into its schemas.

Importing this makes onnx know it, once for the process.
"""

from portgrad.graph.schemas import classical, contrib, training

classical.register()
contrib.register()
training.register()
