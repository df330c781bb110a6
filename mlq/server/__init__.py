"""The embedded server: a Redis-protocol server that MLQ starts by itself if none is given."""

from mlq.server.embedded import ServerStatus, ensure_running, running, status, stop
from mlq.server.scratch import Scratch, scratch

__all__ = ["Scratch", "ServerStatus", "ensure_running", "running", "scratch", "status", "stop"]
