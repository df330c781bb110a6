"""Models for other interpreters, back to Python 3.7, without any package: their types are JSON Schemas."""

import contextlib
import os
import signal
import sys
import time

GATE = os.environ.get("ABROAD_GATE", os.devnull)  # while it is a file, predictions of "wait" wait
NUMBER = {"type": "integer"}


class Where:
    """Says where it runs.

    And more."""

    name, version = "where", "1"
    Input = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 100}}, "required": ["n"]}
    Output = {"type": "object", "required": ["pid", "python"]}

    def load(self, device):
        self.device = device

    def predict(self, x):
        return {"pid": os.getpid(), "python": list(sys.version_info[:2]), "device": self.device, "path": sys.path[0]}


class Does:
    """Does what it is told."""

    name, version = "does", "1"
    Input, Output = {"type": "string"}, {"type": ["integer", "null", "array", "number"]}

    def predict(self, x):
        print("does", x)
        print("with care", file=sys.stderr)
        word, _, rest = x.partition(" ")
        return getattr(self, word)(rest)

    def pid(self, _):
        return os.getpid()

    def exit(self, code):
        os._exit(int(code))

    def kill(self, name):
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(600)

    def sleep(self, seconds):
        time.sleep(float(seconds))

    def wait(self, _):
        while os.path.isfile(GATE):
            time.sleep(0.01)

    def grow(self, size):
        self.fat = bytes(os.urandom(1) * int(size) * 2**20)
        return os.getpid()

    def keep(self, _):
        """Starts a program that keeps the socket open, and ends."""
        import subprocess

        for number in range(3, 100):
            with contextlib.suppress(OSError):
                os.set_inheritable(number, True)
        print(subprocess.Popen(["sleep", "600"], close_fds=False).pid)
        os._exit(7)

    def forked_print(self, _):
        """A process that it forks prints, and is over."""
        if os.fork() == 0:
            print("from the forked one", flush=True)
            os._exit(0)
        return os.wait()[1]

    def terminate(self, _):
        """A process that it forks ends at a signal."""
        ready, told = os.pipe()
        forked = os.fork()
        if forked == 0:
            os.write(told, b"x")
            time.sleep(60)
            os._exit(0)
        os.read(ready, 1)
        os.kill(forked, signal.SIGTERM)
        return os.waitpid(forked, 0)[1]

    def close(self, _):
        os.closerange(3, 100)

    def garbage(self, _):
        for number in range(3, 100):
            with contextlib.suppress(OSError):
                os.write(number, b"garbage " * 10)
        time.sleep(600)

    def word(self, _):
        return "no number"

    def thing(self, _):
        return object()

    def nan(self, _):
        return float("nan")

    def leave(self, _):
        sys.exit(3)


class Own(Exception):
    """An error whose class is only here."""


class Richer(Exception):
    """One that is more than its arguments."""

    def __init__(self, path, *, code):
        super().__init__("{} has {}".format(path, code))
        self.code = code


class Raises:
    """Raises what it is told."""

    name, version = "raises", "1"
    Input, Output = {"type": "string"}, {}

    def predict(self, x):
        errors = {
            "own": lambda: Own("its words", 3), "richer": lambda: Richer("a", code=5), "key": lambda: KeyError("k"),
            "os": lambda: FileNotFoundError(2, "No such file", "weights.bin"), "memory": MemoryError,
            "nothing": Own, "surrogate": lambda: ValueError("\ud800"),
        }  # fmt: skip
        error = errors[x]()
        raise error


class Sums:
    """Adds up lists; with costs and groups."""

    name, version = "sums", "1"
    Input = {"type": "array", "items": {"type": "number"}}
    Output = {"type": "object", "properties": {"sum": {"type": "number"}, "together": {"type": "integer"}}}

    def predict_batch(self, xs):
        if any(x == [13] for x in xs):
            raise ArithmeticError("thirteen")
        if [404] in xs:
            return [{"sum": 0}]
        return [ValueError("fourteen") if x == [14] else {"sum": sum(x), "together": len(xs)} for x in xs]

    def cost(self, x):
        return len(x)

    def group(self, x):
        return (len(x), "odd" if len(x) % 2 else "even")


class Counts:
    """Streams numbers."""

    name, version = "counts", "1"
    Input, Output = NUMBER, {"type": "string"}
    closed = []

    def predict(self, x):
        try:
            for n in range(x):
                yield {"n": n}
            if x > 100:
                raise ArithmeticError("too many")
        finally:
            Counts.closed.append(x)
        return "closed {}".format(Counts.closed)


class Later:
    """A coroutine."""

    name, version = "later", "1"
    Input, Output = NUMBER, NUMBER

    async def predict(self, x):
        import asyncio

        await asyncio.sleep(0)
        return x + 1


class Fails:
    """Can't be loaded."""

    name, version = "fails", "1"
    Input, Output = NUMBER, NUMBER

    def load(self, device):
        print(os.getpid())
        raise FileNotFoundError(2, "No such file", "weights.bin")

    def predict(self, x):
        return x


class Nameless:
    Input, Output, predict = NUMBER, NUMBER, None


class Speechless(Counts):
    """Has a schema that is of no use."""

    name = "speechless"
    Input = {"type": "nonsense"}


class Untyped(Counts):
    """Has types, and there may be no pydantic."""

    Input = int


class Endless:
    """An async generator."""

    name, version = "endless", "1"
    Input, Output = NUMBER, NUMBER

    async def predict(self, x):
        yield x
