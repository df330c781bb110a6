"""Many models on few workers: how often they are loaded, and what a claim costs."""
