"""Limits and pauses, as the blocking client offers them."""

import getpass
import socket

from mlq.client.named import Named
from mlq.core.checks import printable
from mlq.core.limit import Gate, GateState, Limit
from mlq.errors import InputError
from mlq.ops import gates as gate_ops

LONGEST = 200  # characters of a name


def check_by(by: object) -> str:
    """Who pauses something: a name of up to 200 characters, or if nobody says it, the user and the host."""
    if by is None:
        try:
            user = getpass.getuser()
        except (OSError, KeyError, ImportError):  # in a container, the user may have no name
            user = "somebody"
        return f"{user} on {socket.gethostname()}"[:LONGEST]
    if not isinstance(by, str) or not printable(by, LONGEST):
        raise InputError(f"by must be a string of 1 to {LONGEST} printable characters, not {by!r:.80}")
    return by


class Gates(Named):
    """The part of the client that limits and pauses queues, functions, resources and shares."""

    def limit(
        self, *, queue: str | None = None, function: str | None = None, resource: str | None = None,
        share: str | None = None, running: int | None = None, rate: str | None = None, length: int | None = None,
    ) -> bool:  # fmt: skip
        """Limit a queue, a function, a resource or a share, across all workers; returns whether that is a change.

        `running`: jobs at a time; `rate`: starts of jobs in any second, minute or hour, as "10/s", "60/m" or "500/h";
        `length`: jobs that wait in a queue. This replaces an earlier limit as a whole. No running job is interrupted.
        Raises InputError.
        """
        gate = Gate.of(queue, function, resource, share)
        return self._shell.run(gate_ops.limit(self._keys, gate, Limit.of(gate, running, rate, length)))

    def remove_limit(
        self, *, queue: str | None = None, function: str | None = None, resource: str | None = None,
        share: str | None = None,
    ) -> bool:  # fmt: skip
        """Remove a limit; returns whether there was one. Raises InputError."""
        return self._shell.run(gate_ops.limit(self._keys, Gate.of(queue, function, resource, share), None))

    def limits(self) -> list[GateState]:
        """All that is limited or paused: by how much, what runs, whether jobs wait for it, and when its rate opens."""
        limits, pauses = self._shell.run(gate_ops.gates(self._keys))
        ops = gate_ops.states_of_all(self._keys, limits, pauses)
        return [state for page in self._shell.run_many(ops) for state in page] if ops else []

    def pause(
        self, *, queue: str | None = None, function: str | None = None, resource: str | None = None,
        share: str | None = None, by: str | None = None,
    ) -> bool:  # fmt: skip
        """Let no more jobs of a queue, function, resource or share begin; returns whether it was not paused before.

        Jobs that run go on, and posts are taken as always. `by`: who pauses it, as it is shown; if left out, this user
        and host. Raises InputError.
        """
        gate = Gate.of(queue, function, resource, share)
        return self._shell.run(gate_ops.pause(self._keys, gate, check_by(by)))

    def resume(
        self, *, queue: str | None = None, function: str | None = None, resource: str | None = None,
        share: str | None = None,
    ) -> bool:  # fmt: skip
        """End a pause; returns whether there was one. Raises InputError."""
        return self._shell.run(gate_ops.pause(self._keys, Gate.of(queue, function, resource, share), ""))
