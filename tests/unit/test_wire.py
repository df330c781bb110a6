"""The wire between a worker and a child: frames stay whole, whatever interrupts those that send them."""

import gc
import socket
import threading

import pytest

from mlq.pools.frames import PORTION, Wire
from tests.unit import interrupted

SOON = 20.0  # seconds until a test gives up

INTERRUPTED = """
import socket, threading
from mlq.pools.frames import Wire

ours, theirs = socket.socketpair()
wire, other = Wire(ours), Wire(theirs)
heard = []

def listen():
    while heard[-1:] != [["end"]]:
        heard.extend(other.receive())

listener = threading.Thread(target=listen)
listener.start()
every(0.0001)
interrupted = number = 0
while interrupted < 1000:
    number += 1
    data = bytes([number % 256]) * (number * 7919 % 700_000)
    try:
        armed = True
        wire.send("frame", number, data)
        armed = False
    except Interrupted:
        interrupted += 1
every(0)
wire.send("end")
listener.join()
numbers = [number for _, number, _ in heard[:-1]]
assert numbers == sorted(set(numbers)), numbers
for _, number, data in heard[:-1]:
    assert data == bytes([number % 256]) * (number * 7919 % 700_000), number
print("whole", len(numbers) > 0)
"""


@pytest.fixture
def ends():
    """Both ends of a wire."""
    ours, theirs = map(Wire, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def heard(wire, count):
    """The next frames."""
    wire.socket.settimeout(SOON)
    found = []
    while len(found) < count:
        found += wire.receive()
    return found


def test_handlers_that_raise_tear_no_frame():
    assert interrupted.run(INTERRUPTED) == "whole True\n"


def test_a_finaliser_amid_a_frame_sends_its_own_after_it(ends):
    """The collector runs at every allocation; nobody waits for the lock of its own thread."""
    ours, theirs = ends

    class Ending:
        def __init__(self):
            self.me = self

        def __del__(self):
            ours.send("end")

    count, before = 2000, gc.get_threshold()
    found = []
    reader = threading.Thread(target=lambda: found.extend(heard(theirs, 2 * count)), daemon=True)
    reader.start()
    gc.set_threshold(1)
    try:
        for number in range(count):
            Ending()
            ours.send("frame", number)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    reader.join(SOON)
    assert [frame[1] for frame in found if frame[0] == "frame"] == list(range(count))
    assert [frame[0] for frame in found].count("end") == count


def test_many_threads_send(ends):
    """All frames arrive, those of one thread in order; none is left to nobody."""
    ours, theirs = ends
    threads = [
        threading.Thread(target=lambda name=name: [ours.send(name, number, b"x" * 5000) for number in range(300)])
        for name in range(5)
    ]
    for thread in threads:
        thread.start()
    found = heard(theirs, 1500)
    for name in range(5):
        assert [number for who, number, _ in found if who == name] == list(range(300))
    assert not ours.crowded()


def test_what_a_large_frame_took_is_given_back(ends):
    """By both ends."""
    ours, theirs = ends
    sender = threading.Thread(target=ours.send, args=("large", b"x" * 20_000_000))
    sender.start()
    unpacker = theirs._unpacker
    assert len(heard(theirs, 1)[0][1]) == 20_000_000
    sender.join()
    assert not ours._packers, "its buffer is as large as the frame"
    assert theirs._unpacker is not unpacker, "so is its own"
    for number in range(3):
        ours.send("small", number, b"x" * 10)
        packer, unpacker = ours._packers[0], theirs._unpacker
        assert heard(theirs, 1) == [["small", number, b"x" * 10]]
    assert (ours._packers[0], theirs._unpacker) == (packer, unpacker), "small frames share theirs"
    assert len(theirs._buffer) == PORTION
