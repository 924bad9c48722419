"""Models: files, their headers, inference through llama.cpp, and their SQL functions."""
