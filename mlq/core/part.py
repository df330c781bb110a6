"""A job's part in a pipeline, as its record tells it: for which jobs it was posted."""

from typing import Any, NamedTuple

from mlq.core.identity import parse_reference


class Part(NamedTuple):
    """What a step of a pipeline belongs to. Jobs that people post have none."""

    root: str  # the job that the whole pipeline was posted as
    hop: int  # how many forwards and splits lead from there to this job
    tail: str = ""  # the job that gets this one's outcome; empty if there is none
    into: str = ""  # the join that waits for this one as a part of its split
    joins: bool = False  # whether it is a join itself: its message is the results of the parts
    calls_back: bool = False  # whether the job that gets its outcome has a callback or webhook
    routes: bytes = b""  # the declared routes ahead, packed (running/kept_routes.py)

    def packed(self) -> dict[str, Any]:
        """As it is stored; the scripts read it, too (lua/shared/options.lua)."""
        kept = {"root": self.root, "hop": self.hop, "tail": self.tail, "into": self.into, "joins": self.joins,
                "calls_back": self.calls_back, "routes": self.routes}  # fmt: skip
        return {name: value for name, value in kept.items() if value}

    @classmethod
    def read(cls, packed: Any) -> "Part":
        """Raises ValueError: whoever can write to Redis may have put anything there."""
        given = packed if isinstance(packed, dict) else {}
        root, tail, into = (str(given.get(name, "")) for name in ("root", "tail", "into"))
        hop, routes = given.get("hop", 0), given.get("routes", b"")
        is_one = root and isinstance(hop, int) and isinstance(routes, bytes)
        if not is_one or any(one and not parse_reference(one) for one in (root, tail, into)):
            raise ValueError(f"not the part of a job in a pipeline: {packed!r:.80}")
        return cls(root, hop, tail, into, bool(given.get("joins")), bool(given.get("calls_back")), routes)
