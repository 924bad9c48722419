"""How fast and how exact models are here, beside the peers."""
