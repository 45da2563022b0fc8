"""Old nets, brought to the working opset.

onnx's converter does most of it (`convert`). What it breaks is written before it (`scans`), instead
of it (`adapters`, `removed`, on nodes that `old` holds meanwhile) or after it (`repairs`).
"""

# Every operator has a kernel or a function body there; some lose theirs from 22 on. Rules need not
# know older versions.
WORKING_OPSET = 21
