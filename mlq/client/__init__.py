"""Clients, which post jobs and wait for them: a blocking one and one for asyncio."""
