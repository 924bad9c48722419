"""How good a model file is on this machine: whether it works, how fast, how exact."""
