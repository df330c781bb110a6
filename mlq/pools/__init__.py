"""Where a worker's listeners run. A pool knows nothing of Redis."""
