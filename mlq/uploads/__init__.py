"""Listeners that travel to the workers as code: what is signed, with which secret, and how code becomes a function."""
