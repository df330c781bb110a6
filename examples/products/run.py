"""Reads hundreds of product texts with three workers, one of which is killed half-way, and shows what became of them.

Run it with `python examples/products/run.py [TEXTS]`. It starts a server of its own, which is gone afterwards.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import storage
from texts import Product, made_up

from mlq import MLQ, JobHandle, State
from mlq.server import scratch

LISTENERS = Path(__file__).with_name("listeners.py")
QUEUES = {"worker 1": "requests", "worker 2": "data,logs", "worker 3": "data,logs"}
LIMIT = 120.0  # seconds for anything
LOOK = 0.005  # seconds between looks at what is stored


def main(count: int) -> int:
    """The exit status: 0 if each text has become exactly one record, and the right one."""
    products = made_up(count, seed=2)
    with tempfile.TemporaryDirectory() as folder, scratch(appendfsync="everysec") as server:
        os.environ |= {"MLQ_URL": server.url, "PRODUCTS_DB": str(Path(folder, "products.sqlite"))}
        storage.prepare()
        with MLQ("products", url=server.url) as mlq, running(mlq) as workers:
            messages = [{"number": number, "text": product.text} for number, product in enumerate(products)]
            begun = time.monotonic()
            ids = mlq.post_many(messages, functions=["classify"], queue="requests")
            print(f"{len(ids)} texts are posted to {len(workers)} workers")
            kill_half_way(mlq, workers, len(ids))
            results = mlq.wait_many(ids, timeout=LIMIT)
            print(f"the last record is stored {time.monotonic() - begun:.1f} s after the first text was posted\n")
            wait_until(lambda: mlq.job_count() == 0)  # of the notes, too
            problems = summary(products, results)
            show_tree(mlq.job(ids[most_telling(products)]))
    return 1 if problems else 0


@contextmanager
def running(mlq: MLQ) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    """The workers, each with the queues that it serves."""
    command = [sys.executable, "-m", "mlq.cli", "worker", str(LISTENERS), "--pool", "thread", "--concurrency", "4"]
    workers = {
        name: subprocess.Popen([*command, "--queues", queues, "--name", name.replace(" ", "-"), "--log-level", "error"])
        for name, queues in QUEUES.items()
    }
    try:
        wait_until(lambda: len(mlq.workers()) == len(workers))
        yield workers
    finally:
        for worker in workers.values():
            worker.terminate()
        for worker in workers.values():
            worker.wait(LIMIT)


def wait_until(holds: Any) -> None:
    give_up = time.monotonic() + LIMIT
    while not holds():
        if time.monotonic() > give_up:
            sys.exit("it takes too long: something is wrong")
        time.sleep(LOOK)


def kill_half_way(mlq: MLQ, workers: dict[str, "subprocess.Popen[bytes]"], count: int) -> None:
    """SIGKILL a worker when half of the records are stored, at a moment when it surely runs jobs.

    To be sure, freeze it, look what it holds, and let it go on if that is nothing.
    """
    victim = workers["worker 2"]
    (name,) = (worker["name"] for worker in mlq.workers() if worker["pid"] == str(victim.pid))
    wait_until(lambda: storage.count() >= count // 2)
    stored = storage.count()
    while stored < count:
        victim.send_signal(signal.SIGSTOP)
        held = [job.id for job in mlq.jobs(State.RUNNING) if job.worker == name]
        if held:
            victim.kill()
            print(f"worker 2 is killed (SIGKILL): {stored} records are stored, and it holds {len(held)} jobs")
            return
        victim.send_signal(signal.SIGCONT)
        time.sleep(LOOK)
        stored = storage.count()
    sys.exit("all records were stored before worker 2 could be killed: give it more texts")


def summary(products: list[Product], results: list[dict[str, Any]]) -> int:
    """Print what became of the texts; the number of mistakes."""
    records, notes = storage.records(), set(storage.notes())
    kinds = Counter(record["kind"] for record in records)
    codes = Counter(code for record in records for code in ("gtin", "mpn") if record.get(code))
    print(
        f"records stored   {len(records)} of {len(products)}: "
        + ", ".join(f"{kinds[kind]} {kind}s" for kind in sorted(kinds))
    )
    print(f"with a code      {codes['gtin']} GTIN, {codes['mpn']} MPN")
    print(f"validated        {sum('validated' in record for record in records)}")
    print(f"refused, noted   {len(notes)} with a wrong check digit")
    numbers = Counter(record["number"] for record in records)
    lost, twice = len(products) - len(numbers), sum(times > 1 for times in numbers.values())
    other = sum(record != result for record, result in zip(records, results, strict=False))
    wrong = sum(not is_right(product, result) for product, result in zip(products, results, strict=True))
    print(f"lost             {lost}\nstored twice     {twice}\nwrongly read     {wrong}\n")
    return lost + twice + other + wrong


def is_right(product: Product, record: dict[str, Any]) -> bool:
    """Whether the record has what is known of the product."""
    code = product.gtin if product.is_valid else None
    return (record["kind"], record.get("gtin"), record.get("mpn")) == (product.kind, code, product.mpn)


def most_telling(products: list[Product]) -> int:
    """The number of a text that goes all the way: one with a code."""
    return next(number for number, product in enumerate(products) if product.gtin and product.is_valid)


def show_tree(job: JobHandle) -> None:
    """The steps of one text."""
    print(f"what became of the text of job {job.id}:", flush=True)
    subprocess.run([sys.executable, "-m", "mlq.cli", "--namespace", "products", "tree", job.id], check=True)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 600))
