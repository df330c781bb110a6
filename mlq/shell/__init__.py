"""Runs ops, blocking (`sync`) or on an event loop (`aio`). No other code uses a socket to the server."""
