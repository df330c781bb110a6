"""The states of a job and the transitions between them, as a table.

Rule: every event that changes a job's state is listed here, and nothing else changes it. The scripts in `lua/` carry
out the transitions. The tables that the scripts include, `docs/states.md` and the state-machine test are generated from
this table.
"""

from enum import StrEnum


class State(StrEnum):
    """The states of a job. `GONE` is not stored: the job has no keys in Redis."""

    BLOCKED = "blocked"
    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    GONE = "gone"


class Event(StrEnum):
    """What can happen to a job."""

    POST = "post"
    POST_AFTER = "post after others"
    POST_EARLY = "post before its time"
    REPLACE = "replace"
    REPLACE_EARLY = "replace before its time"
    UNBLOCK = "unblock"
    UNBLOCK_EARLY = "unblock before its time"
    BECOME = "become another job"
    STEP_SUCCEEDED = "step succeeded"
    STEP_FAILED = "step failed"
    CLAIM = "claim"
    CLAIM_APART = "claim apart"
    SUCCEED = "succeed"
    FAIL = "fail"
    RETRY = "retry"
    COME_DUE = "come due"
    HAND_BACK = "hand back"
    LOSE_LEASE = "lose lease"
    LOSE_LEASE_AGAIN = "lose lease again"
    LOSE_LEASE_TOO_OFTEN = "lose lease too often"
    OVERRUN = "overrun"
    OVERRUN_TOO_OFTEN = "overrun too often"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REQUEUE = "requeue"
    REQUEUE_STEP = "requeue a step"
    DELETE = "delete"


MEANING: dict[State, str] = {
    State.BLOCKED: "waits for other jobs: for those that it comes after, or for the one that its result comes from",
    State.QUEUED: "waits in its lane until a worker that has its functions claims it",
    State.SCHEDULED: "waits for its time, or that of a retry; or after losses, for a worker that runs it apart",
    State.RUNNING: "an attempt runs under a lease; its worker settles it, or it is requeued once the lease has expired",
    State.SUCCEEDED: "the result is stored, until it is deleted or its time to live is over",
    State.FAILED: "a dead letter: waits for a person to requeue or discard it",
    State.CANCELLED: "was cancelled before it ended, or expired before it began; kept as a result is",
    State.GONE: "not (or no longer) in Redis",
}

TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.GONE, Event.POST): State.QUEUED,
    (State.GONE, Event.POST_AFTER): State.BLOCKED,
    (State.GONE, Event.POST_EARLY): State.SCHEDULED,
    (State.BLOCKED, Event.REPLACE): State.QUEUED,
    (State.BLOCKED, Event.REPLACE_EARLY): State.SCHEDULED,
    (State.BLOCKED, Event.UNBLOCK): State.QUEUED,
    (State.BLOCKED, Event.UNBLOCK_EARLY): State.SCHEDULED,
    (State.BLOCKED, Event.STEP_SUCCEEDED): State.SUCCEEDED,
    (State.BLOCKED, Event.STEP_FAILED): State.FAILED,
    (State.BLOCKED, Event.CANCEL): State.CANCELLED,
    (State.BLOCKED, Event.EXPIRE): State.CANCELLED,
    (State.QUEUED, Event.REPLACE): State.QUEUED,
    (State.QUEUED, Event.REPLACE_EARLY): State.SCHEDULED,
    (State.QUEUED, Event.CLAIM): State.RUNNING,
    (State.QUEUED, Event.CANCEL): State.CANCELLED,
    (State.QUEUED, Event.EXPIRE): State.CANCELLED,
    (State.QUEUED, Event.DELETE): State.GONE,
    (State.SCHEDULED, Event.REPLACE): State.QUEUED,
    (State.SCHEDULED, Event.REPLACE_EARLY): State.SCHEDULED,
    (State.SCHEDULED, Event.COME_DUE): State.QUEUED,
    (State.SCHEDULED, Event.CLAIM_APART): State.RUNNING,
    (State.SCHEDULED, Event.CANCEL): State.CANCELLED,
    (State.SCHEDULED, Event.EXPIRE): State.CANCELLED,
    (State.SCHEDULED, Event.DELETE): State.GONE,
    (State.RUNNING, Event.SUCCEED): State.SUCCEEDED,
    (State.RUNNING, Event.BECOME): State.BLOCKED,
    (State.RUNNING, Event.FAIL): State.FAILED,
    (State.RUNNING, Event.RETRY): State.SCHEDULED,
    (State.RUNNING, Event.CANCEL): State.CANCELLED,
    (State.RUNNING, Event.EXPIRE): State.CANCELLED,
    (State.RUNNING, Event.HAND_BACK): State.QUEUED,
    (State.RUNNING, Event.LOSE_LEASE): State.QUEUED,
    (State.RUNNING, Event.LOSE_LEASE_AGAIN): State.SCHEDULED,
    (State.RUNNING, Event.LOSE_LEASE_TOO_OFTEN): State.FAILED,
    (State.RUNNING, Event.OVERRUN): State.QUEUED,
    (State.RUNNING, Event.OVERRUN_TOO_OFTEN): State.FAILED,
    (State.SUCCEEDED, Event.DELETE): State.GONE,
    (State.FAILED, Event.REQUEUE): State.QUEUED,
    (State.FAILED, Event.REQUEUE_STEP): State.BLOCKED,
    (State.FAILED, Event.DELETE): State.GONE,
    (State.CANCELLED, Event.REQUEUE): State.QUEUED,
    (State.CANCELLED, Event.REQUEUE_STEP): State.BLOCKED,
    (State.CANCELLED, Event.DELETE): State.GONE,
}

FINISHED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

# Why an attempt ended without a value: the listener raised, its worker or child died, the child ran out of memory, the
# attempt took too long, somebody cancelled the job, or the worker stopped; or a job that this one needs failed.
REASONS = ("error", "lost", "oom", "timeout", "cancelled", "handed back", "step")


def after(state: State, event: Event) -> State | None:
    """The state that `event` leads to from `state`, or None if the event is refused."""
    return TRANSITIONS.get((state, event))


def ended_in_lua() -> str:
    """The Lua table that scripts include as `ended`: which states are final."""
    ends = ", ".join(f"{state} = true" for state in State if state in FINISHED)
    return f"local ENDED = {{{ends}}} -- generated from core/states.py\n"


def transitions_in_lua() -> str:
    """The Lua code that scripts include as `transitions`: the state that an event leads to, nil if it is refused."""
    rows = {state: "" for state, _ in TRANSITIONS}
    for (state, event), new in TRANSITIONS.items():
        rows[state] += f"['{event}'] = '{new}', "
    table = "\n".join(f"  {state} = {{{row}}}," for state, row in rows.items())
    return (
        f"local TRANSITIONS = {{ -- generated from core/states.py\n{table}\n}}\n"
        "local function after(state, event)\n  return (TRANSITIONS[state] or {})[event]\nend\n"
    )


def as_markdown() -> str:
    """`docs/states.md`: both tables and the diagram."""
    lines = ["# States of a job", "", "Generated from the table in `mlq/core/states.py`; a test compares the two.", ""]
    lines += ["| state | meaning |", "|---|---|"]
    lines += [f"| {state} | {MEANING[state]} |" for state in State]
    lines += ["", "```mermaid", "stateDiagram-v2"]
    lines += [f"    {old} --> {new}: {event}" for (old, event), new in TRANSITIONS.items()]
    lines += ["```", "", "| from | event | to |", "|---|---|---|"]
    lines += [f"| {old} | {event} | {new} |" for (old, event), new in TRANSITIONS.items()]
    return "\n".join(lines) + "\n"
