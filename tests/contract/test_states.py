"""The table of states: its page, and that it is whole. `tests/scripts/test_transitions.py` plays every cell."""

from pathlib import Path

import pytest

from mlq.core.progress import progress_of, progress_words
from mlq.core.states import FINISHED, MEANING, TRANSITIONS, Event, State, after, as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def test_page_is_the_table():
    """Written again by `PAGE.write_text(as_markdown(), "utf-8")`."""
    assert PAGE.read_text("utf-8") == as_markdown()


def test_every_state_can_be_reached_and_is_explained():
    """From nothing, by the events of the table."""
    reached, found = set(), {State.GONE}
    while found:
        reached |= found
        found = {new for (old, _), new in TRANSITIONS.items() if old in reached} - reached
    assert reached == set(State) == set(MEANING)


def test_every_event_happens_somewhere():
    """No event without a cell."""
    assert {event for _, event in TRANSITIONS} == set(Event)


@pytest.mark.parametrize("state", sorted(FINISHED))
def test_finished_jobs_move_only_when_a_person_asks(state):
    """An outcome is recorded once."""
    assert {event for old, event in TRANSITIONS if old is state} <= {Event.REQUEUE, Event.REQUEUE_STEP, Event.DELETE}


def test_running_jobs_can_not_be_deleted():
    """The worker that holds the lease decides; it can only be taken from it."""
    assert after(State.RUNNING, Event.DELETE) is None


@pytest.mark.parametrize("state", State)
def test_what_has_not_ended_can_be_cancelled(state):
    """And nothing else."""
    assert (after(state, Event.CANCEL) is State.CANCELLED) == (state not in FINISHED | {State.GONE})


def test_progress_and_words_of_every_state():
    """A new state has both."""
    for state in set(State) - {State.RUNNING, State.GONE}:
        assert progress_words(state, None).startswith("[")
        assert progress_of(state, None) in (None, 100, -1)
