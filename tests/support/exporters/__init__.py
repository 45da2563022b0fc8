"""Small nets made by the exporters that people use, with the framework's own gradients beside them.

`PYTHONPATH=tests python -m support.exporters` makes the files of `tests/data/exported` again; what
it needs to be installed is told in CONTRIBUTING.md. Reading them (`sample`) needs nothing more than
the tests themselves.
"""
