"""Jobs that make other jobs, in MLQ and in its peers: rates, bytes, and joins lost or run twice when workers die."""
