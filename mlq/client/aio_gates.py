"""Limits and pauses, as the asyncio client offers them."""

from mlq.client.gates import check_by
from mlq.client.named import AsyncNamed
from mlq.core.limit import Gate, GateState, Limit
from mlq.ops import gates as gate_ops


class AsyncGates(AsyncNamed):
    """The part of the client that limits and pauses queues, functions, resources and shares."""

    async def limit(
        self, *, queue: str | None = None, function: str | None = None, resource: str | None = None,
        share: str | None = None, running: int | None = None, rate: str | None = None, length: int | None = None,
    ) -> bool:  # fmt: skip
        """Limit a queue, a function, a resource or a share, across all workers; returns whether that is a change.

        `running`: jobs at a time; `rate`: starts of jobs in any second, minute or hour, as "10/s", "60/m" or "500/h";
        `length`: jobs that wait in a queue. This replaces an earlier limit as a whole. No running job is interrupted.
        Raises InputError.
        """
        gate = Gate.of(queue, function, resource, share)
        return await self._shell.run(gate_ops.limit(self._keys, gate, Limit.of(gate, running, rate, length)))

    async def remove_limit(
        self, *, queue: str | None = None, function: str | None = None, resource: str | None = None,
        share: str | None = None,
    ) -> bool:  # fmt: skip
        """Remove a limit; returns whether there was one. Raises InputError."""
        return await self._shell.run(gate_ops.limit(self._keys, Gate.of(queue, function, resource, share), None))

    async def limits(self) -> list[GateState]:
        """All that is limited or paused: by how much, what runs, whether jobs wait for it, and when its rate opens."""
        limits, pauses = await self._shell.run(gate_ops.gates(self._keys))
        ops = gate_ops.states_of_all(self._keys, limits, pauses)
        return [state for page in await self._shell.run_many(ops) for state in page] if ops else []

    async def pause(
        self, *, queue: str | None = None, function: str | None = None, resource: str | None = None,
        share: str | None = None, by: str | None = None,
    ) -> bool:  # fmt: skip
        """Let no more jobs of a queue, function, resource or share begin; returns whether it was not paused before.

        Jobs that run go on, and posts are taken as always. `by`: who pauses it, as it is shown; if left out, this user
        and host. Raises InputError.
        """
        gate = Gate.of(queue, function, resource, share)
        return await self._shell.run(gate_ops.pause(self._keys, gate, check_by(by)))

    async def resume(
        self, *, queue: str | None = None, function: str | None = None, resource: str | None = None,
        share: str | None = None,
    ) -> bool:  # fmt: skip
        """End a pause; returns whether there was one. Raises InputError."""
        return await self._shell.run(gate_ops.pause(self._keys, Gate.of(queue, function, resource, share), ""))
