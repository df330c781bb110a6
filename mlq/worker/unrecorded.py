"""The duty that keeps what could not be recorded, and tries until it is: in its own thread, so that nothing else waits.

It also makes the first try for anything so large that the server may close the connection over it.

Why: a server that refuses an outcome now (it can't write its snapshot, has too few replicas or too many clients, is
full, or has another password) may accept it later, and the outcome may be hours of work. A refusal is final only if it
is about the value itself. The attempt of a kept outcome keeps its slot, so that a worker in trouble claims no more jobs
than it has room for.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from mlq.errors import NoServer, ServerError, ValueRefused
from mlq.ops import work as work_ops
from mlq.running.outcomes import failure
from mlq.shell.sync import Shell
from mlq.shell.target import ANSWER_TIMEOUT
from mlq.shell.trouble import PIECE, pause
from mlq.system.service import Service, TroubleLog, log
from mlq.worker.attempt import Attempt, Entry
from mlq.worker.outbox import Ended, Reported, cost
from mlq.worker.shared import Shared

PATIENCE = 1.0  # seconds per try while no connection can be made
SLOWEST = 10_000  # bytes per second of the slowest link over which an outcome must get through in the end


class Unrecorded(Service):
    """Tries again, smallest first. Has its own connection while it has something to record."""

    def __init__(self, shared: Shared, settle: Callable[[Ended, Shell], None], died: Callable[[], None]) -> None:
        """`settle` records one outcome, or raises ServerError."""
        super().__init__("keeper", died)
        self._shared = shared
        self._settle = settle
        self._items: dict[Attempt, Ended | Reported] = {}
        self._refused: set[Attempt] = set()  # the server refused their outcomes: their failures are recorded instead
        self._unanswered: Counter[Attempt] = Counter()
        self._failures = 0
        self._trouble = TroubleLog("can't record what jobs report and end in (it is kept)")
        self._shell: Shell | None = None
        self._changed = threading.Condition()

    def keep(self, item: Ended | Reported) -> None:
        """Keep what could not be recorded; an attempt's outcome replaces its reports."""
        with self._changed:
            if not (isinstance(item, Reported) and item.attempt in self._items):
                self._items[item.attempt] = item
            self.start_once()
            self._changed.notify_all()

    def has(self, attempt: Attempt) -> bool:
        """Whether anything of this attempt is kept: then its later reports and its outcome must be kept, too."""
        return bool(self._items) and attempt in self._items

    def turn(self) -> None:
        """Wait until something is kept, then try all of it once."""
        with self._changed:
            while not self._items and not self.stopping.is_set():
                self._close()
                self._changed.wait()
            items = sorted(self._items.values(), key=_size)
        error = self._try_all(items)
        if error is None:
            self._failures = 0
            self._trouble.over()
        else:
            self._failures += 1
            self._trouble.log(error)
            self.stopping.wait(pause(self._failures))

    def stop(self, timeout: float | None = None) -> None:
        """Go on trying for `timeout` seconds at most, then end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._items, timeout)
            self.stopping.set()
            self._changed.notify_all()
        super().stop(timeout)

    def _try_all(self, items: list[Ended | Reported]) -> ServerError | None:
        """Try each once; stop when a connection fails, since larger items have no better chance then."""
        failed: ServerError | None = None
        for item in items:
            try:
                self._record(item)
            except ServerError as error:
                failed = error
                if isinstance(error, NoServer):
                    self._unanswered[item.attempt] += 1
                    break
            else:
                self._forget(item)
            if self.stopping.is_set():
                break
        return failed

    def _record(self, item: Ended | Reported) -> None:
        attempt = item.attempt
        if self._shared.find(attempt.claimed.lease) is not attempt:  # cancelled or lost meanwhile: nothing of it counts
            if attempt.has_reported():
                _gone(self._shared, attempt.reports.take()[1])
            self._shared.slots.release(attempt)
            return
        shell = self._shell_for(item)
        for error in record_reports(self._shared, [attempt], shell).values():
            raise error
        if not isinstance(item, Ended):
            return
        try:
            self._settle(item, shell)
        except ValueRefused as error:
            if attempt in self._refused:
                log.error("job %s: not even its failure can be recorded; it runs again", attempt.claimed.id)
                self._shared.drop(attempt)
                self._shared.slots.release(attempt)
                self._shared.wake_for_free_slot()
                return
            log.error("job %s: the server refuses its outcome; it fails instead", attempt.claimed.id)
            self._refused.add(attempt)
            with self._changed:
                self._items[attempt] = Ended(attempt, failure(error))  # for the next round

    def _shell_for(self, item: Ended | Reported) -> Shell:
        """A connection whose timeout for an answer grows with each try, up to what the slowest link needs."""
        size, tries = _size(item), min(20, self._unanswered[item.attempt])
        answer = min(ANSWER_TIMEOUT * 2.0**tries, ANSWER_TIMEOUT + size / SLOWEST) if size > PIECE else ANSWER_TIMEOUT
        if self._shell is None or self._shell.answer != answer:
            self._close()
            self._shell = Shell(self._shared.shell.target, most=1, patience=PATIENCE, answer=answer)
        return self._shell

    def _forget(self, item: Ended | Reported) -> None:
        with self._changed:
            attempt = item.attempt
            if self._items.get(attempt) is item and (isinstance(item, Ended) or not attempt.reports.waits()):
                del self._items[attempt]
                del self._unanswered[attempt]
                self._refused.discard(attempt)
            self._changed.notify_all()

    def _close(self) -> None:
        if self._shell is not None:
            self._shell.close()
            self._shell = None


def record_reports(shared: Shared, attempts: Sequence[Attempt], shell: Shell) -> dict[Attempt, ServerError]:
    """Record what attempts reported, in one round trip; returns those to try again. Nothing of theirs is lost."""
    said = [(attempt, *attempt.reports.take()) for attempt in attempts if attempt.has_reported()]
    said = [(attempt, progress, entries) for attempt, progress, entries in said if progress or entries]
    failed: dict[Attempt, ServerError] = {}
    for (attempt, progress, entries), error in zip(said, _errors_of(shared, said, shell), strict=True):
        if error is not None and not (_is_final(error) and len(said) == 1):
            attempt.reports.put_back(progress, entries)
            failed[attempt] = error  # a try of this one alone will show whether the server refuses it
            continue
        if error is not None:
            log.warning("job %s: the server refuses its reports: %s", attempt.claimed.id, error)
        _gone(shared, entries)
    return failed


def _gone(shared: Shared, entries: Sequence[Entry]) -> None:
    """Take entries off the outbox's size: they are recorded, or never will be."""
    shared.outbox.gone(sum(cost(data) for _, _, data in entries))


def _is_final(error: ServerError) -> bool:
    """Whether to give these reports up. WRONGTYPE: another program wrote to the job's stream; its outcome counts."""
    return isinstance(error, ValueRefused) or "WRONGTYPE" in str(error)


def _errors_of(
    shared: Shared, said: Sequence[tuple[Attempt, bytes, list[Entry]]], shell: Shell
) -> Sequence[ServerError | None]:
    if not said:
        return ()
    ops = [
        work_ops.report(shared.keys, attempt.claimed, progress, entries, attempt.record.options.part)
        for attempt, progress, entries in said
    ]
    try:
        return [_error_of(result) for result in shell.run_each(ops)]
    except ServerError as error:
        return [error] * len(said)


def _error_of(result: Callable[[], object]) -> ServerError | None:
    try:
        result()
    except ServerError as error:
        return error
    return None


def _size(item: Ended | Reported) -> int:
    said = item.attempt.reports.size() if item.attempt.has_reported() else 0
    return said + (item.outcome.size if isinstance(item, Ended) else 0)
