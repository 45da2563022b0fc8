"""Attacks that want more than there is: nets, bodies, connections; and what is right to answer."""
