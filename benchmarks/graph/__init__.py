"""Graph functions beside sqlite-muninn and networkx."""
