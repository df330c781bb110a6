"""Posts over HTTP under wrk, MLQ beside its peers, and open event streams.

python -m benchmarks.web install            environments for the peers, below benchmarks/.peers
python -m benchmarks.web [--runs N]         posts: needs wrk (Debian: apt-get install wrk)
python -m benchmarks.web streams [COUNT]    2,000 open event streams while posts go on

The service has core 1 for itself; the server, a fresh one for each measurement, and wrk share core 0. Services take
turns. Each is one process, with 32 connections kept open; the peers run under uvicorn with uvloop and httptools.
"""

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers import ENVIRONMENTS
from benchmarks.peers.environments import make_environment
from benchmarks.stage import pin
from benchmarks.web.streams import measure_streams
from mlq.http.process import Plan, ServerProcess
from mlq.server import scratch

COMMON = ("fastapi", "uvicorn", "uvloop", "httptools", "hiredis")
PEERS = {"fastapi_celery": ("celery[redis]", *COMMON), "fastapi_arq": ("arq", *COMMON)}
NAMES = {"mlq": "mlq serve", "fastapi_celery": "FastAPI + celery", "fastapi_arq": "FastAPI + arq"}
SCRIPT = Path(__file__).with_name("post.lua")
CONNECTIONS = 32


@contextmanager
def service(name: str, url: str) -> Iterator[str]:
    """A service on core 1, and where it is."""
    if name == "mlq":
        made = ServerProcess(Plan("bench", url), "127.0.0.1", 0)
        made.start()
        pin(made.pid, 1)
        yield made.url
        made.stop(1.0)
        return
    port = free_port()
    program = ENVIRONMENTS / name / "bin" / "uvicorn"
    options = ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    command = [program, *options, f"benchmarks.web.{name}:app"]
    process = subprocess.Popen(command, env=os.environ | {"BENCH_URL": url})
    pin(process.pid, 1)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def wait_for(url: str) -> None:
    body = b'{"msg": {"text": "x"}}'
    for _ in range(200):
        try:
            request = urllib.request.Request(f"{url}/jobs", body, {"Content-Type": "application/json"})  # noqa: S310
            urllib.request.urlopen(request, timeout=5).read()  # noqa: S310 - both are ours
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"{url} does not answer")


def load(url: str, seconds: int) -> dict[str, float]:
    """Requests per second and latencies in ms, by wrk."""
    command = ["taskset", "-c", "0", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--latency", "-s", SCRIPT, url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in told:
        sys.exit(told)
    found = {name: _milliseconds(amount) for name, amount in re.findall(r"^ +(50|99)% +(\S+)$", told, re.MULTILINE)}
    rate = re.search(r"Requests/sec: +(\S+)", told)
    return {"rate": float(rate[1]) if rate else 0.0} | found


def _milliseconds(amount: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", amount).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def measure(name: str, seconds: int) -> dict[str, float]:
    with scratch(port=free_port(), appendfsync=None) as server:
        pin(server.pid, 0)
        with service(name, server.url) as url:
            wait_for(url)
            load(f"{url}/jobs", 1)  # warm
            return load(f"{url}/jobs", seconds)


def posts(runs: int, seconds: int) -> None:
    taken: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    for number in range(runs):
        for name in NAMES:
            print(f"round {number + 1}: {name}", file=sys.stderr)
            taken[name].append(measure(name, seconds))
    print("| service | requests/s | p50 ms | p99 ms | MLQ ÷ service, requests/s |\n|---|---:|---:|---:|---:|")
    medians = {name: {key: statistics.median(one[key] for one in ones) for key in ones[0]}
               for name, ones in taken.items()}  # fmt: skip
    for name, one in medians.items():
        low, high = min(each["rate"] for each in taken[name]), max(each["rate"] for each in taken[name])
        ratio = "" if name == "mlq" else f"{medians['mlq']['rate'] / one['rate']:.2f}"
        rate = f"{one['rate']:,.0f} ({low:,.0f} to {high:,.0f})"
        print(f"| {NAMES[name]} | {rate} | {one['50']:.1f} | {one['99']:.1f} | {ratio} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("what", nargs="?", choices=["posts", "streams", "install"], default="posts")
    parser.add_argument("count", nargs="?", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=6)
    given = parser.parse_args()
    if given.what == "install":
        for name, requirements in PEERS.items():
            make_environment(name, requirements)
    elif given.what == "streams":
        measure_streams(given.count)
    elif shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    else:
        posts(given.runs, given.seconds)


if __name__ == "__main__":
    main()
