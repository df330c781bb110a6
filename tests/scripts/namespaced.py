"""What the state machines of scripts share: a namespace of their own on a real server."""

import itertools
import uuid

import redis
from hypothesis.stateful import RuleBasedStateMachine

from mlq.core.keys import Keys
from mlq.shell.sync import Shell
from mlq.shell.target import Target


class NamespaceMachine(RuleBasedStateMachine):
    """One namespace, which is empty at first and cleared at the end."""

    def __init__(self, url):
        super().__init__()
        self.keys = Keys(f"machine-{uuid.uuid4().hex}")
        self.shell = Shell(Target(url, "arguments"))
        self.raw = redis.Redis.from_url(url)
        self.numbers = itertools.count(1)  # of calls

    def teardown(self):
        if names := list(self.raw.scan_iter(f"{{{self.keys.namespace}}}*".replace("-", "\\-"), count=10_000)):
            self.raw.delete(*names)
        self.raw.close()
        self.shell.close()

    def run(self, op):
        return self.shell.run(op)
