"""What a worker tells the server about its listeners before it claims: what they use, and the models among them."""

import logging
from collections.abc import Sequence

from mlq.core.keys import Keys
from mlq.core.limit import Gate
from mlq.errors import ServerError
from mlq.ops import gates as gate_ops
from mlq.ops import models as model_ops
from mlq.running.listeners import Listeners
from mlq.shell.sync import Shell

log = logging.getLogger("mlq.worker")


def declare_uses(shell: Shell, keys: Keys, listeners: Listeners, queues: Sequence[str]) -> None:
    """Tell what the jobs of these listeners count for, so that limits hold for them."""
    found = {f":{one.name}": [Gate("resource", name) for name in one.uses] for one in listeners.all()}
    for queue in queues:  # its jobs without functions count for all listeners that run
        run = listeners.chosen(queue)
        used = [Gate("function", one.name) for one in run]
        found[queue] = [*used, *(Gate("resource", name) for name in dict.fromkeys(n for one in run for n in one.uses))]
    shell.run(gate_ops.declare_uses(keys, found))


def describe_models(shell: Shell, keys: Keys, listeners: Listeners) -> None:
    """Keep the descriptions of the models among the listeners, for clients."""
    ops = [op for one in listeners.all() if one.about for op in model_ops.describe(keys, one.about)]
    for kept in shell.run_each(ops) if ops else ():
        try:
            kept()
        except ServerError as error:  # such as a key of another type: clients can't find that model; others can
            log.error("can't describe a model: %s", error)  # noqa: TRY400
