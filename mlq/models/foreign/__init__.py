"""Models that run in another Python interpreter than their worker: how they are described, started, asked and ended."""
