"""The command line of the first MLQ."""
