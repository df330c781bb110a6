"""One attempt in this process: from its claim until it is settled, handed back or lost."""

import enum
import threading

from mlq.job import Claimed, Record


class Stage(enum.Enum):
    """How far an attempt is. The last three are final."""

    CLAIMED = "claimed"
    BEGUN = "begun"
    ENDED = "ended"  # its listeners are through; the settler has it
    HANDED_BACK = "handed back"
    LOST = "lost"


class Attempt:
    """A claimed job, and who decides what becomes of it: the first to move it to a final stage."""

    def __init__(self, claimed: Claimed) -> None:
        """Raises nothing: the record is read when it runs."""
        self.claimed = claimed
        self.record: Record | None = None
        self.stage = Stage.CLAIMED
        self.holds_slot = True
        self._lock = threading.Lock()

    def begin(self) -> bool:
        """Move from claimed to begun; False when it is no longer ours to run."""
        with self._lock:
            if self.stage is not Stage.CLAIMED:
                return False
            self.stage = Stage.BEGUN
            return True

    def end(self, stage: Stage) -> Stage | None:
        """Move to a final stage; the stage before, or None when somebody else was first."""
        with self._lock:
            if self.stage not in (Stage.CLAIMED, Stage.BEGUN):
                return None
            before, self.stage = self.stage, stage
            return before
