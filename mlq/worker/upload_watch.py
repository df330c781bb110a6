"""The duty that keeps a worker's uploaded listeners in step with Redis; it loads none whose signature is wrong.

It looks at the uploads when a message in the worker's inbox or the reply to a heartbeat says that they changed, or,
while the worker is busy, when the renewer sees a new version.
"""

import queue
from collections.abc import Callable

from mlq.errors import MLQError, ServerError
from mlq.ops import uploads as upload_ops
from mlq.pools.contract import Loader
from mlq.running.listeners import Listener
from mlq.running.uploaded import Uploaded
from mlq.system.service import Service, TroubleLog, log
from mlq.uploads import sealed
from mlq.worker.shared import Shared

AGAIN = 0.5  # seconds before the next look if the server could not be asked


class Uploads(Service):
    """Has uploads loaded, and adds them to the worker's listeners."""

    def __init__(self, shared: Shared, loader: Loader, died: Callable[[], None]) -> None:
        """`loader` loads the code where it will run."""
        super().__init__("uploads", died)
        self._shared = shared
        self._loader = loader
        self._uploaded = Uploaded(shared.listeners)
        self._heads: dict[str, bytes] = {}  # of the uploads that were looked at, whether they could be loaded or not
        self._news: queue.SimpleQueue[tuple[str, Listener | None, str]] = queue.SimpleQueue()
        self._trouble = TroubleLog("can't look for uploaded listeners")
        shared.uploads_due.set()

    def stop(self, timeout: float | None = None) -> None:
        """End; only the listeners that the program declared remain."""
        self.stopping.set()
        self._shared.uploads_due.set()
        super().stop(timeout)
        self._uploaded.clear()

    def turn(self) -> None:
        """Wait for a reason to look, then look once."""
        due = self._shared.uploads_due
        due.wait()
        due.clear()
        if self.stopping.is_set():
            return
        try:
            self._look()
            self._trouble.over()
        except ServerError as error:
            self._trouble.log(error)
            due.set()
            self.stopping.wait(AGAIN)
        self._take_up()
        self._shared.complete.set()

    def _look(self) -> None:
        shared = self._shared
        version = shared.shell.run(upload_ops.version(shared.keys))  # first: the heads must be at least as new
        if version == shared.uploads_version:
            return
        heads = shared.shell.run(upload_ops.heads(shared.keys))
        for name in self._heads.keys() - heads.keys():
            self._drop(name)
        for name, head in heads.items():
            if self._heads.get(name) != head:
                self._load(name)
        shared.uploads_version = version

    def _load(self, name: str) -> None:
        shared = self._shared
        found = shared.shell.run(upload_ops.read(shared.keys, name, sealed.LIMIT))
        if found is None:  # removed meanwhile
            self._drop(name)
            return
        self._heads[name], code = found
        try:
            sealed.check(shared.keys.namespace, name, self._heads[name], code)
        except MLQError as error:
            self._refuse(name, str(error))
        else:
            self._loader.load_upload(name, code, self._hear)

    def _hear(self, name: str, listener: Listener | None, why: str) -> None:
        """Take the result of loading an upload; called on any thread."""
        self._news.put((name, listener, why))
        self._shared.uploads_due.set()

    def _take_up(self) -> None:
        """Add loaded uploads to the listeners."""
        while not self._news.empty():
            name, listener, why = self._news.get()
            if listener is None:
                self._refuse(name, f"it can't be loaded: {why}")
            elif name in self._heads:  # else removed meanwhile
                self._uploaded.put(listener)
                log.info("the uploaded listener %r is run from now on", name)

    def _refuse(self, name: str, why: str) -> None:
        """Don't run this upload here; nor the one that it replaced, which is no longer listed."""
        log.error("the uploaded listener %r is not run by worker %s: %s", name[:100], self._shared.name, why)
        self._withdraw(name)

    def _drop(self, name: str) -> None:
        self._heads.pop(name, None)
        if self._withdraw(name):
            log.info("the uploaded listener %r is removed", name[:100])

    def _withdraw(self, name: str) -> bool:
        self._loader.unload(name)
        return self._uploaded.remove(name)
