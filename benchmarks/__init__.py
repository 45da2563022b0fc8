"""What gradients cost, against the forward pass and against peers: `make bench`.

`parts` holds what is measured, one module each; `zoo` the nets; the rest runs, keeps and shows.
"""
