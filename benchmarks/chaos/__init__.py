"""Chaos: thousands of jobs on workers, a server and a network that an adversary keeps breaking; then a reckoning."""
