"""Acts on pipelines, for tests of their scripts."""

from mlq.core import codec
from mlq.core.job import Outcome, Record
from mlq.core.job_options import JobOptions, pack_body
from mlq.core.part import Part
from mlq.core.states import State
from mlq.ops import jobs as job_ops
from mlq.ops import posting as post_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending

LOSSES = 2  # attempts that a job may lose and still run again


class Pipes:
    """Acts on pipelines in a world whose epoch is known."""

    def __init__(self, world):
        self.world, self.keys, self.raw, self.run = world, world.keys, world.raw, world.run
        self.raw.set(self.keys.epoch, "e r")

    def post(self, needs="", lane="default", **options):
        """The id of a job that was posted as clients do, with `after` in its options."""
        if needs:
            policy, _, ids = needs.partition(" ")
            options |= {"after": ids.split()} | ({"on_failure": "run"} if policy == "run" else {})
            needs = " ".join([policy, *(f"{one}:" for one in ids.split())])
        body = pack_body(codec.pack(None), options)
        times = {name: options[name] for name in ("delay", "expires", "priority") if name in options}
        when = JobOptions.of(times).when
        op = job_ops.post(self.keys, "poster", self.world.number(), lane, [body], needs=needs, when=when)
        return str(self.run(op).first)

    def take(self, *ids):
        """Claim jobs until these are among them; those are given back in their order, all others handed back."""
        found = {}
        while not found.keys() >= set(ids):
            claimed = self.world.claim(50)
            assert claimed, f"only {sorted(found)} of {ids} can be claimed"
            found |= {one.id: one for one in claimed}
        others = [(one, False) for one in found.values() if one.id not in ids]
        if others:
            self.run(work_ops.hand_back(self.keys, others))
        return [found[one] for one in ids]

    def waiting(self):
        """The ids in the default lane, in order."""
        return [one.decode() for one in self.raw.zrange(self.keys.lane + "default", 0, -1)]

    def becoming(self, claimed, fields, epoch="e r", staged=""):
        outcome = Outcome(State.BLOCKED, fields)
        ending = Ending(claimed, outcome, Record.parse(claimed.record).options, staged=staged)
        return settle_ops.settle(self.keys, [ending], LOSSES, epoch)

    def next_part(self, claimed):
        own = Record.parse(claimed.record).options.part
        return Part(own.root if own else claimed.id, own.hop + 1 if own else 1, (own and own.tail) or claimed.id)

    def forwarding(self, claimed, **how):
        body = pack_body(codec.pack("next"), {"part": self.next_part(claimed).packed()})
        return self.becoming(claimed, {"lane": "default", "body": body}, **how)

    def forward(self, claimed):
        """Let a job become another one; its id."""
        assert self.run(self.forwarding(claimed)) == [True]
        return self.raw.get(self.keys.counter).decode()

    def plan(self, claimed, sizes, on_failure=None):
        """Post the join and the pages of parts of a split that does not begin yet; the ids of both."""
        part = self.next_part(claimed)
        kept = {"part": part._replace(joins=True).packed()} | ({"on_failure": on_failure} if on_failure else {})
        join = self.post_page(claimed, [pack_body(codec.pack(None), kept)])[0]
        each = pack_body(codec.pack("item"), {"part": Part(part.root, part.hop, into=join).packed()})
        return join, [one for size in sizes for one in self.post_page(claimed, [each] * size)]

    def post_page(self, claimed, bodies):
        number = self.world.number()
        op = post_ops.post(self.keys, "poster", number, "default", bodies, claimed.lease, needs=post_ops.PLAN)
        return list(map(str, self.run(op).ids()))

    def splitting(self, claimed, at_once=1000):
        return self.becoming(claimed, {"plan": str(at_once)})

    def split(self, claimed, count, at_once=1000, on_failure=None):
        """Let a job become a split of so many; the ids of the join and of the parts."""
        join, parts = self.plan(claimed, [count] if count else [], on_failure)
        assert self.run(self.splitting(claimed, at_once)) == [True]
        return join, parts

    def end(self, job_id, state=State.SUCCEEDED, **verdict):
        """Run a job that waits in its lane to that end."""
        assert self.world.settle(self.take(job_id)[0], state, **verdict)

    def state(self, job_id):
        fields = self.world.raw_job(job_id)
        there = self.raw.exists(self.keys.post + job_id)
        return fields.get("state", b"queued").decode() if there else "gone"

    def field(self, job_id, name):
        found = self.raw.hget(self.keys.job + job_id, name)
        return found and found.decode()

    def states(self, *ids):
        return [self.state(one) for one in ids]

    def counters(self, root):
        return [int(self.field(root, name) or 0) for name in ("steps", "done", "bad")]

    def cancel(self, job_id):
        return self.run(job_ops.cancel(self.keys, job_id))

    def requeue(self, job_id):
        return self.run(job_ops.requeue(self.keys, job_id))

    def delete(self, job_id):
        return self.run(job_ops.delete(self.keys, job_id))

    def chores(self):
        """Do all that is left to do."""
        while self.run(job_ops.chores(self.keys)):
            pass

    def look_out(self):
        """Look at what waits as a worker does, although that may have been done a moment ago, and do what follows."""
        self.world.watched()
        self.raw.hdel(self.keys.reaping, "looked")
        self.world.reap()
        self.chores()

    def rest_of(self, *but):
        """The names of keys that only jobs have, without these jobs'."""
        names = [name for name in self.world.look() if name.startswith(("post:", "job:", "stream:"))]
        return [name for name in names if name.split(":")[1] not in but]
