"""Scripts that leave almost all of what an end changes for other jobs to later ones."""

import contextlib

import pytest

from mlq.ops import scripts


@contextlib.contextmanager
def chores_of(budget: int, page: int):
    """Have each script do only so much of what an end changes for other jobs, and raise what goes wrong with that."""
    whole = scripts._whole
    changes = {
        "work": {
            "budget, done = 500": f"budget, done = {budget}",
            "pcall(what, now, unpack(todo[done], 2))": "true, what(now, unpack(todo[done], 2))",
        },
        "pages": {"PAGE = 100": f"PAGE = {page}"},
        # each look for expired leases looks at blocked jobs, too: else it would depend on the time whether one does
        "reap": {"whole(last[3])) >= 1": "whole(last[3])) >= 0"},
    }

    def changed(path, included):
        found = whole(path, included)
        for old, new in changes.get(path.stem, {}).items():
            assert old in found, f"{path.stem}.lua has changed"
            found = found.replace(old, new)
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scripts, "_whole", changed)
        scripts.script.cache_clear()
        yield
    scripts.script.cache_clear()
