"""Listeners, and how one is called: the only place where code of users runs."""
