"""Drawing an answer: distances, forces and room for labels are arrays; pages get nodes and SVG."""
