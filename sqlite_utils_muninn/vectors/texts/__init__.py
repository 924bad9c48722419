"""From texts to vectors: what has to be embedded, by which model, in which passages."""
