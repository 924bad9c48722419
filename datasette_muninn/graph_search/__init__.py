"""Searching a knowledge graph for one visitor: which graphs, what is offered, what is answered."""
