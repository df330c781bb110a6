"""The only code that knows a socket: carries ops out, for ordinary programs (`sync`) and for asyncio ones (`aio`)."""
