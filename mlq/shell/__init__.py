"""The only code that uses a socket to the server: runs ops, blocking (`sync`) or on an event loop (`aio`)."""
