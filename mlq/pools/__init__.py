"""Where a worker's listeners run, one pool per file. A pool knows nothing of Redis."""
