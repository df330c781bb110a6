"""Listeners of the tests: they note each row that they predict in a file, in one write a row."""

import os
import time

from mlq import MLQ

mlq = MLQ(os.environ.get("MLQ_NAMESPACE", "rows"))


def _note(number):
    file = os.open(os.environ["ROWS_SEEN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{number} {os.getpid()}\n".encode())
    os.close(file)


@mlq.listener
def double(row):
    """Some rows fail, die, hang, or fill their process."""
    _note(row["n"])
    if row["n"] == "die":
        os._exit(9)
    time.sleep(float(os.environ.get("ROWS_TAKE", "0")))
    return {"n": row["n"], "twice": int(row["n"]) * 2}


@mlq.listener(timeout=1)
def hang(row):
    _note(row["n"])
    if row["n"] == "7":
        time.sleep(600)
    return row["n"]
