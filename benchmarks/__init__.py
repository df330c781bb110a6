"""Measurements: `python -m benchmarks` takes MLQ alone, `python -m benchmarks.compare` sets it beside its peers."""
