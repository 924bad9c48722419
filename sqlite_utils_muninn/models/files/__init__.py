"""Model files before anything computes with them: known, fetched, made, checked, recorded, read."""
