"""Control flow: what subgraphs compute, differentiated. The rules are in `rules/control_flow`.

subgraphs   a body is run again in a new subgraph, and swept there: all that If needs
iteration   the reverse of a Loop or Scan, whose body is such a subgraph
saving      how the forward loop keeps what each iteration of the reverse starts from
steady      which states keep their shape from trip to trip
"""
