"""Pipelines among the jobs of the chaos suite: what is posted, what it runs, and what must have become of it."""
