"""What MLQ prints and logs can't steer a terminal."""

import io
import json
import logging
import unicodedata

import pytest

from mlq.system import logs, terminal

STEERING = [
    *map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u061c", "\u200e", "\u200f", "\u2028", "\u2029",
    *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\ud800",
]  # fmt: skip
EVIL = "\x1b]0;title\x07 \x9b2J \r over \u202egnp.exe \x7f \u2028"


class Screen(io.TextIOWrapper):
    """A stream that is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch):
    made = Screen(io.BytesIO(), encoding="utf-8", write_through=True)
    monkeypatch.setattr("sys.stdout", made)
    return made


def steers(text):
    """Whether a terminal would do something else than show it."""
    return any(c not in "\n\t" and unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") for c in text) or any(
        c in text for c in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


@pytest.mark.parametrize("character", STEERING, ids=lambda c: f"U+{ord(c):04X}")
def test_each_is_shown_and_not_obeyed(character):
    if character in "\n\t":
        assert terminal.escaped(f"a{character}b") == f"a{character}b"
    else:
        assert terminal.escaped(f"a{character}b") == "a" + repr(character)[1:-1].replace("\\r", "\\x0d").replace(
            "\\x7f", "\\u007f").replace("\\x8", "\\u008").replace("\\x9", "\\u009") + "b"  # fmt: skip


def test_text_of_all_languages_stays():
    words = "naïve 日本語 עברית العربية 👩‍🔬 e\u0301\ttab\nline"
    assert terminal.escaped(words) == words


def test_json_stays_the_same_value():
    told = json.dumps({"a": EVIL + "\x00"}, ensure_ascii=False, indent=2)
    assert not steers(terminal.escaped(told))
    assert json.loads(terminal.escaped(told)) == {"a": EVIL + "\x00"}


def test_a_terminal_gets_nothing_raw(screen):
    for exact in (False, True):
        terminal.write(EVIL, exact=exact)
    terminal.write_bytes(b"\x1b[2J")
    assert not steers(screen.buffer.getvalue().decode())


def test_a_pipe_gets_a_result_unchanged(capsysbinary):
    terminal.write(EVIL, exact=True)
    terminal.write_bytes(b"\x1b[2J\xff")
    assert capsysbinary.readouterr().out == EVIL.encode() + b"\n\x1b[2J\xff"


def test_what_is_told_to_people_is_escaped_everywhere(capsys):
    terminal.write(EVIL)
    terminal.write(EVIL, err=True)
    told = capsys.readouterr()
    assert told.out
    assert not steers(told.out + told.err)


def test_without_streams_nothing_is_written(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    terminal.write("a")
    terminal.write("a", err=True)
    terminal.write_bytes(b"a")


# --- logs


def record(message, *args, error=None):
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("mlq.worker", logging.WARNING, __file__, 1, message, args, info)


@pytest.mark.parametrize("formatter", [logs.PlainFormatter(), logs.JsonFormatter()], ids=["plain", "json"])
def test_log_lines(formatter):
    try:
        raise ValueError(EVIL)
    except ValueError as error:
        told = formatter.format(record("%s failed", EVIL, error=error))
    assert not steers(told)
    assert "gnp.exe" in told
    assert "Traceback" in told


def test_no_message_looks_like_a_record_of_its_own():
    told = logs.PlainFormatter().format(record("%s", "a\n2026-01-01 00:00:00 CRITICAL mlq: forged"))
    assert [line.startswith("    ") for line in told.splitlines()] == [False, True]


def test_programs_without_handlers_are_safe_too(capsys):
    """Python's own handler of last resort shows what MLQ logs."""

    class Broken(Exception):
        def __str__(self):
            raise ZeroDivisionError

    log = logging.getLogger("mlq.worker")
    own = record("of %s: %s %d", EVIL, ValueError(EVIL), 7)
    assert log.filter(own)
    assert not steers(own.getMessage())
    assert own.getMessage().endswith(" 7")
    try:
        raise ValueError(EVIL)
    except ValueError as error:
        own = record("died", error=error)
        assert log.filter(own)
        assert not steers(logging.Formatter().format(own))
    clean = record("job %s of %(x)s", {"x": 1})
    assert log.filter(clean)
    assert clean.args == {"x": 1}
    assert log.filter(record("%s", Broken()))


def test_all_of_our_loggers_are_known():
    """Those that a module names, found in the sources."""
    import ast
    from pathlib import Path

    root = Path(logs.__file__).parents[1]
    found = set()
    for path in [*root.glob("mlq/**/*.py"), *root.glob("controller/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "getLogger" and node.args:
                name = node.args[0]
                module = ".".join(path.relative_to(root).with_suffix("").parts)
                found.add(name.value if isinstance(name, ast.Constant) else module if ast.unparse(name) == "__name__"
                          else None)  # fmt: skip
    assert found - {None} <= set(logs.LOGGERS)
