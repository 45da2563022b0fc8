"""The peers' own servers over `serving.product`, and their clients."""
