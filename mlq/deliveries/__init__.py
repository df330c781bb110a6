"""Callbacks and webhooks: their content, one exchange with a receiver, and the duty that sends them."""
