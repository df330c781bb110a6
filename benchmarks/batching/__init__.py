"""By which rule a batch leaves: MLQ's, and those of other services in the same worker."""
