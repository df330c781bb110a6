"""Listeners, and how they are called: the only place where user code runs."""
