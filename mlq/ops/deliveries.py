"""Ops on deliveries: the callbacks and webhooks that report how jobs ended."""

from typing import Any, NamedTuple

from mlq.core.identity import stamp_of
from mlq.core.job import fields_of, or_none
from mlq.core.keys import Keys
from mlq.errors import WrongState
from mlq.ops import Op, call, nothing
from mlq.ops.jobs import lapse_keys
from mlq.ops.scripts import script
from mlq.ops.stamps import check_exists


class Delivery(NamedTuple):
    """A callback or a webhook that was taken to be sent."""

    kind: str  # "callback" or "webhook"
    id: str  # the job's
    fields: dict[str, bytes]  # as shared/finish.lua queues them

    @property
    def attempt(self) -> int:
        """The number of this try, from 1; tries that died with their sender are not counted."""
        return (or_none(int, self.fields.get("failed", 0)) or 0) + 1

    @property
    def taken(self) -> int:
        """How often it was taken, which distinguishes this try from a later one."""
        return int(self.fields["tries"])

    def text(self, name: str) -> str:
        """A field as a string; it may have been cut in the middle of a character."""
        return self.fields[name].decode("utf-8", "replace")


def take(keys: Keys, kind: str, most: int, lease: float, tries: int) -> Op[list[Delivery]]:
    """Take up to `most` due deliveries of a kind for `lease` seconds; drop those that failed `tries` times."""

    def parse(reply: list[Any]) -> list[Delivery]:
        rows = (reply[i : i + 2] for i in range(0, len(reply), 2))
        return [Delivery(kind, job_id.decode("utf-8", "replace"), fields_of(flat)) for job_id, flat in rows]

    return call(
        script("take_deliveries"), (keys.deliveries + kind, f"{keys.delivery}{kind}:"), (most, lease, tries), parse
    )


def end(keys: Keys, delivery: Delivery, status: int | None, note: str, again_in: float | None) -> Op[None]:
    """Record how a try went. The next one is due in `again_in` seconds; None ends the delivery."""
    kind, job_id = delivery.kind, delivery.id
    names = (keys.deliveries + kind, f"{keys.delivery}{kind}:{job_id}", keys.job + job_id, keys.metrics)
    args = (kind, job_id, delivery.text("queued"), delivery.taken, "" if status is None else status, note,
            "" if again_in is None else again_in)  # fmt: skip
    return call(script("end_delivery"), names, args, nothing)


def put_back(keys: Keys, delivery: Delivery, seconds: float) -> Op[None]:
    """A delivery was taken, but not tried: it is due again in so many seconds."""
    names = (keys.deliveries + delivery.kind, f"{keys.delivery}{delivery.kind}:{delivery.id}")
    args = (delivery.id, delivery.text("queued"), delivery.taken, seconds)
    return call(script("put_back_delivery"), names, args, nothing)


def redeliver(keys: Keys, job_id: str) -> Op[None]:
    """Queue the webhook of a job that ended once more."""

    def parse(reply: list[bytes]) -> None:
        check_exists(keys, job_id, reply[0])
        if reply[0] == b"state":
            raise WrongState(
                f"can't redeliver job {job_id}: it is {reply[1].decode()}; a webhook is sent when a job ends"
            )
        if reply[0] == b"none":
            raise WrongState(f"can't redeliver job {job_id}: it was posted without a webhook")

    return call(script("redeliver"), lapse_keys(keys), (str(job_id), stamp_of(job_id)), parse)
