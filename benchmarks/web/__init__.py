"""The HTTP service beside two that people build themselves: FastAPI in front of celery, and in front of arq."""
