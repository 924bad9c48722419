"""How good the search is on questions whose answers are known, and how fast on a large graph."""
