"""Every figure that the README or the docs quote: run one with ``python -m benchmarks.NAME``.

Machines are noisy, so each figure is a ratio of two things measured in one run, in CPU time.
"""
