"""Where the nodes of a small graph are drawn: arrays in, positions out."""
