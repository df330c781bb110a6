"""The pools in which a worker's listeners run, one per file. A pool does not use Redis."""
