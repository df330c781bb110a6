"""The queue of the listeners, and how they speak with the test: over Redis lists, in the environment's namespace."""

import os

import redis

from mlq import MLQ

NAMESPACE = os.environ["MLQ_TEST_NAMESPACE"]
mlq = MLQ(NAMESPACE)
side = redis.Redis.from_url(os.environ["MLQ_TEST_SIDE"], socket_timeout=None)


def say(name: str, value: object = "") -> None:
    side.rpush(f"{{{NAMESPACE}}}:data:{name}", str(value))


def hear(name: str) -> None:
    side.blpop([f"{{{NAMESPACE}}}:data:{name}"], 60)
