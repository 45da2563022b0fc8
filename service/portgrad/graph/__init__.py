"""The ONNX graph in memory: load, check, normalise, ports and paths, builder vocabulary.

Importing this package is cheap: `files` and `nearest` serve the HTTP process too, which never loads
onnx.
"""
