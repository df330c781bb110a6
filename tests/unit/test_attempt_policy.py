"""What an attempt may take: a job's own options, but no more time than a model has."""

from mlq.core.job import Claimed, Record
from mlq.core.job_options import JobOptions
from mlq.core.policy import Policy
from mlq.running.listeners import Listener
from mlq.worker.attempt import Attempt


def policy_of(declared, about, **options):
    """The policy of a job with these options for a listener, or for a model if `about` tells of one."""
    attempt = Attempt(Claimed("1", 1, "w.1", "w", 0.0, b""))
    listener = Listener("f", None, policy=declared, about=about)
    attempt.read(Record("default:f", 0.0, JobOptions.of(options), b"\xc0"), (listener,), declared)
    return attempt.policy


def test_a_model_gets_no_more_time_than_it_declares():
    """Whoever may post could keep its worker for days."""
    declared = Policy(timeout=3.0)
    assert policy_of(declared, "{}", timeout=100_000).timeout == 3
    assert policy_of(declared, "{}", timeout=1).timeout == 1
    assert policy_of(declared, "{}").timeout == 3
    assert policy_of(Policy(), "{}", timeout=100_000).timeout == 100_000


def test_a_plain_listener_gets_what_the_job_asks_for():
    """Its declaration is a default."""
    assert policy_of(Policy(timeout=3.0), "", timeout=100).timeout == 100
