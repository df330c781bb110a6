"""A benchmark of models in other interpreters beside the same models in MLQ's own processes."""
