"""The shadows of a worker: what it offers to them, and those that it hosts. Nothing of it runs before one is set."""

from collections.abc import Callable, Mapping

from mlq.core.shadow import Shadow
from mlq.ops import Op
from mlq.ops import shadows as shadow_ops
from mlq.shell.sync import Shell
from mlq.worker.shadow_offers import Offering, Offers
from mlq.worker.shadow_runner import Aside, ShadowRunner
from mlq.worker.shared import Shared


class Shadows:
    """Follows what users set."""

    def __init__(self, shared: Shared, aside: Aside | None, died: Callable[[], None]) -> None:
        """`aside`: where shadows run; None if they can't run in this worker, which still offers predictions."""
        self.offers = Offers()
        self._shared = shared
        self._aside = aside
        self._died = died
        self._shell: Shell | None = None
        self._offering: Offering | None = None
        self._runner: ShadowRunner | None = None
        self._stopping = False

    def question(self) -> Op[dict[str, Shadow]] | None:
        """What to ask the server now and then; None for a worker without models."""
        has_models = any(one.about for one in self._shared.listeners.all())
        return shadow_ops.settings(self._shared.keys) if has_models else None

    def learn(self, shadows: Mapping[str, Shadow]) -> None:
        """Follow what is set now. Only one thread may call it."""
        if self._stopping:
            return
        models, queues = [one for one in self._shared.listeners.all() if one.about], self._shared.queues()
        wanted = {f"{model}@{shadow.version}" for model, shadow in shadows.items() if shadow.share}
        hosted = sorted(one.name for one in models if one.queue in queues and one.name in wanted)
        self.offers.learn(shadows, [one.name for one in models])
        if self.offers.on:
            self._offer()
        if self._aside is not None and (hosted or self._runner is not None):
            self._run(tuple(hosted), self._aside)
        if self._shell is not None and not (self.offers.on or hosted):
            self._shell.close()  # until one is set again

    def give_way(self) -> None:
        """Begin to end: the worker stops."""
        self._stopping = True
        self.offers.on = False
        for duty in (self._offering, self._runner):
            if duty is not None:
                duty.stopping.set()

    def stop(self, timeout: float) -> None:
        """End."""
        for duty in (self._offering, self._runner):
            if duty is not None:
                duty.stop(timeout)
        if self._shell is not None:
            self._shell.close()

    def _own_shell(self) -> Shell:
        """A connection of its own: nothing on which an answer waits is to wait for it."""
        self._shell = self._shell or Shell(self._shared.shell.target, most=1)
        return self._shell

    def _offer(self) -> None:
        if self._offering is None:
            self._offering = Offering(self._shared.keys, self._own_shell(), self.offers, self._died)
            self._offering.start()

    def _run(self, hosted: tuple[str, ...], aside: Aside) -> None:
        if self._runner is None:
            self._runner = ShadowRunner(self._shared, self._own_shell(), aside, self._died)
            self._runner.start()
        self._runner.wanted = hosted
