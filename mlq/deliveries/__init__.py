"""Callbacks and webhooks on their way: what they say, one exchange with a receiver, and the duty that sends them."""
