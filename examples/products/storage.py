"""Where records end up: a file of SQLite, named by PRODUCTS_DB. Writing a record twice changes nothing."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

TABLES = """
CREATE TABLE IF NOT EXISTS records (job TEXT PRIMARY KEY, number INTEGER, record TEXT);
CREATE TABLE IF NOT EXISTS notes (job TEXT PRIMARY KEY, note TEXT);
"""


@contextmanager
def _open() -> Iterator[sqlite3.Connection]:
    """A connection; what is written is committed at the end."""
    with closing(sqlite3.connect(os.environ["PRODUCTS_DB"], timeout=30)) as connection, connection:
        yield connection


def prepare() -> None:
    """Make the tables. Readers and a writer of this file don't wait for one another."""
    with _open() as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(TABLES)


def write_record(job: str, record: dict[str, Any]) -> None:
    """The job is the primary key: if it runs again after it has written, because its worker died, it writes nothing."""
    with _open() as connection:
        connection.execute(
            "INSERT OR IGNORE INTO records VALUES (?, ?, ?)", (job, record["number"], json.dumps(record))
        )


def write_note(job: str, note: str) -> None:
    with _open() as connection:
        connection.execute("INSERT OR IGNORE INTO notes VALUES (?, ?)", (job, note))


def count() -> int:
    with _open() as connection:
        return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])


def records() -> list[dict[str, Any]]:
    with _open() as connection:
        return [json.loads(row[0]) for row in connection.execute("SELECT record FROM records ORDER BY number")]


def notes() -> list[str]:
    with _open() as connection:
        return [str(row[0]) for row in connection.execute("SELECT note FROM notes ORDER BY job")]
