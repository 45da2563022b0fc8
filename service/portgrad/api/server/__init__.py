"""HTTP as it comes from strangers: connections, heads and readers, each with its bounds."""
