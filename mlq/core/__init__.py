"""Names, states, bytes and decisions: values and pure functions that all other parts use."""
