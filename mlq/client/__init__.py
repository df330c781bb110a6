"""Clients: what posts jobs and waits for them, blocking and for asyncio."""
