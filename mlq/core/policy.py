"""Decides whether and when a job runs again after an attempt went wrong. Pure: randomness is an argument."""

from typing import TYPE_CHECKING, Any, NamedTuple

from mlq.core.checks import check_count, check_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

BACKOFF = 1.0  # seconds before the first retry, by default
LONGEST = 3600.0  # most seconds before any retry
LOSSES = 3  # attempts that a job may lose with their workers or children: the third loss makes it a dead letter
AFFINITY_WAIT, LONGEST_AFFINITY_WAIT = 1.0, 60.0  # seconds for which a job is for workers that hold its model
DOUBLINGS = 30  # keeps 2**n within a float's range


class Policy(NamedTuple):
    """How long an attempt may take, and how often and when it is retried. None means not specified."""

    timeout: float | None = None  # seconds of one attempt
    retries: int | None = None  # further attempts after one that raised or timed out
    backoff: float | None = None  # seconds before the first retry; doubled for each further one

    @classmethod
    def of(cls, timeout: object, retries: object, backoff: object) -> "Policy":
        """Raises InputError."""
        return cls(
            check_seconds("timeout", timeout),
            check_count("retries", retries),
            check_seconds("backoff", backoff, zero=True),
        )

    def over(self, other: "Policy | Iterable[Policy]") -> "Policy":
        """This policy; what it does not specify is the most generous value of the others."""
        others = (other,) if isinstance(other, Policy) else tuple(other)
        if None not in self or all(one == NOTHING for one in others):
            return self

        def most(index: int) -> Any:
            values: list[Any] = [policy[index] for policy in others if policy[index] is not None]
            return max(values) if values and self[index] is None else self[index]

        return Policy(most(0), most(1), most(2))


NOTHING = Policy()


def pause_before_retry(policy: Policy, errors: int, chance: float) -> float | None:
    """Seconds until the next attempt, after `errors` earlier ones went wrong; None if there is to be none.

    Exponential backoff with jitter, between half and the whole of the pause ("equal jitter": M. Brooker, "Exponential
    Backoff And Jitter", AWS Architecture Blog, 2015). `chance` is a random number from 0 to 1.
    """
    if errors >= (policy.retries or 0):
        return None
    first = BACKOFF if policy.backoff is None else policy.backoff
    longest = min(LONGEST, first * 2 ** min(errors, DOUBLINGS))
    return float(longest * (0.5 + chance / 2))
