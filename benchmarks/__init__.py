"""Measurements of MLQ; `python -m benchmarks` prints a table."""
