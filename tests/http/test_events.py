"""A job live, as server-sent events from a real server process."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlq.core.json_values import to_json
from mlq.http import events as module
from mlq.http.turns import Places
from mlq.running.outcomes import failure, success
from tests.http.asking import ask, port_of
from tests.http.jobs import address


def test_a_job_from_its_post_to_its_end(serve, mlq, hand, follow):
    job_id = mlq.post(1)
    events = follow(serve(), job_id)
    assert (events.answer.status, events.answer.headers["Content-Type"]) == (200, "text/event-stream")
    assert events.answer.headers["Cache-Control"] == "no-store"
    told = iter(events)
    assert next(told) == ("state", {"id": job_id, "state": "queued", "attempt": 0}, None)
    one = hand.claim()
    about = {"id": job_id, "state": "running", "attempt": 1}
    assert next(told) == ("state", about, None)
    hand.progress(one, 50)
    assert next(told) == ("progress", about | {"progress": 50}, None)
    hand.say(one, 1, {"loss": 0.5})
    assert next(told) == ("chunk", about | {"data": {"loss": 0.5}}, "1-1")
    hand.say(one, 2, "half\nway\r\n\n", "log")
    assert next(told) == ("log", about | {"text": "half\nway\r\n\n"}, "1-2")
    hand.say(one, 3, b"\x00\xff")
    assert next(told) == ("chunk", about | {"data": {"base64": "AP8="}}, "1-3")
    hand.end(one, success("all"))
    end = about | {"state": "succeeded", "short_result": "all", "result": f"{address(mlq, job_id)}/result"}
    assert next(told) == ("end", end, "end")
    assert list(told) == []


def test_who_comes_late_is_told_all_of_it(serve, mlq, hand, follow):
    job_id = mlq.post(1)
    one = hand.claim()
    for number in range(1, 1501):
        hand.say(one, number, number)
    hand.end(one, success(1))
    told = list(follow(serve(), job_id))
    assert [event.data["data"] for event in told if event.name == "chunk"] == list(range(1, 1501))
    assert [event.name for event in told][-1] == "end"


def test_a_reader_that_comes_back_gets_each_chunk_once(serve, mlq, hand, follow):
    serving = serve()
    job_id = mlq.post(1)
    one = hand.claim()
    seen, last = [], None
    for number in range(1, 31):
        hand.say(one, number, number)
        if number % 3 == 0:
            events = follow(serving, job_id, last)
            for event in events:
                if event.name == "chunk":
                    seen.append(event.data["data"])
                    last = event.id
                if seen and seen[-1] == number:
                    break
            events.close()
    assert seen == list(range(1, 31))
    hand.end(one, success(1))
    assert [event.name for event in follow(serving, job_id, last)] == ["end"]


def test_a_retry_begins_a_new_attempt(serve, mlq, hand, follow):
    job_id = mlq.post(1, retries=1)
    events = follow(serve(), job_id)
    one = hand.claim()
    hand.say(one, 1, "void")
    assert [event.data["attempt"] for event in events.until("chunk")][-1] == 1
    two = hand.retry(one)
    while (state := events.until("state")[-1]).data["attempt"] != 2:
        assert state.data["state"] in {"scheduled", "queued"}
    hand.say(two, 1, "good")
    chunk = events.until("chunk")[-1]
    assert (chunk.data["data"], chunk.data["attempt"], chunk.id) == ("good", 2, "2-1")
    hand.end(two, success(1))
    assert (events.until("end")[-1].data["attempt"], list(events)) == (2, [])


def test_a_failure_tells_why(serve, mlq, hand, follow):
    job_id = mlq.post(1)
    hand.end(hand.claim(), failure(ValueError("too small")))
    (end,) = follow(serve(), job_id)
    told = {name: end.data[name] for name in ("state", "reason", "error_type", "error")}
    assert told == {"state": "failed", "reason": "error", "error_type": "builtins.ValueError", "error": "too small"}


def test_what_nobody_can_read_does_not_end_the_stream(serve, mlq, hand, follow, keys):
    """Its asker came back every two seconds, to the same traceback in the service's log."""
    job_id = mlq.post(1)
    one = hand.claim()
    hand.say(one, 1, "a part")
    hand.end(one, success(2))
    (entry,) = (name for name, _ in mlq._redis.xrange(keys.stream + job_id))
    mlq._redis.delete(keys.stream + job_id)
    mlq._redis.xadd(keys.stream + job_id, {"chunk": b"\xc1"}, entry)
    mlq._redis.expire(keys.stream + job_id, 60)
    mlq._redis.hset(keys.job + job_id, mapping={"short": b"\xc1", "result": b"\xc1"})
    chunk, end = follow(serve(), job_id)
    assert (chunk.name, end.name, end.id) == ("chunk", "end", "end")
    assert all("not a packed value" in told.data["undecodable"] for told in (chunk, end))


def test_a_cancelled_job_ends(serve, mlq, follow):
    job_id = mlq.post(1)
    told = iter(follow(serve(), job_id))
    assert next(told).data["state"] == "queued"
    mlq.cancel(job_id)
    assert [(event.name, event.data["state"]) for event in told] == [("end", "cancelled")]


def test_who_has_seen_the_end_is_sent_away_until_it_runs_again(mlq, client):
    job_id = mlq.post(1)
    mlq.cancel(job_id)
    assert client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": "end"}).status_code == 204
    mlq.requeue(job_id)
    with client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": "end"}) as again:
        assert again.status_code == 200
    mlq.delete(job_id)
    assert client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": "end"}).status_code == 410


@pytest.mark.parametrize("job_id", ["1", "abc", "0", "9" * 30])
def test_an_unknown_job_is_404(client, job_id):
    assert client.get(f"/jobs/{job_id}/events").status_code == 404


@pytest.mark.parametrize(
    "last",
    ["", "x", "-", "1", "1-", "-1-5", "a-1", "0-0", "²-1", "1-1-1", "9" * 30 + "-1", "1-" + "9" * 30, "9" * 9000],
)
def test_a_place_that_is_none_is_no_error(mlq, client, last):
    job_id = mlq.post(1)
    mlq.cancel(job_id)
    given = client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": last})
    assert given.status_code == 200
    assert "event: end" in given.text


def test_a_job_that_is_deleted_ends_its_streams_quietly(serve, mlq, capfd, follow):
    serving = serve()
    job_id = mlq.post(1)
    told = iter(follow(serving, job_id))
    next(told)
    mlq.delete(job_id)
    assert list(told) == []
    assert follow(serving, job_id).answer.status == 410
    assert "Traceback" not in capfd.readouterr().err


def test_a_value_that_json_has_no_room_for_does_not_end_the_stream(serve, mlq, hand, capfd, follow):
    deep = None
    for _ in range(1000):  # MessagePack takes it
        deep = [deep]
    job_id = mlq.post(1)
    one = hand.claim()
    hand.say(one, 1, deep)
    hand.say(one, 2, "more")
    hand.progress(one, deep)
    hand.end(one, success(deep))
    told = list(follow(serve(), job_id))
    assert "too deeply" in told[0].data["undecodable"]
    assert [event.id for event in told] == ["1-1", "1-2", "end"]
    assert (told[1].data["data"], told[2].data["state"]) == ("more", "succeeded")
    assert "Traceback" not in capfd.readouterr().err


def test_a_large_chunk_that_must_wait_for_others_ends_the_stream_quietly(mlq, client, hand, monkeypatch):
    """The client reconnects; a traceback for each would fill the log."""
    monkeypatch.setattr(module, "reading", Places(1, most_waiting=0))
    job_id = mlq.post(1)
    one = hand.claim()
    hand.say(one, 1, "a")
    hand.say(one, 2, b"x" * 200_000)
    given = client.get(f"/jobs/{job_id}/events")
    assert [line for line in given.text.splitlines() if line.startswith("id:")] == ["id: 1-1"]


def test_chunks_are_written_once_for_all_followers(mlq, client, hand, monkeypatch):
    """Four thousand empty objects take 4 kB and 5 ms: 500 followers would keep everybody else waiting for 3 s."""
    written = []
    monkeypatch.setattr(module, "to_json", lambda value, **more: (written.append(value), to_json(value, **more))[1])
    monkeypatch.setattr(module, "_written", module._Written())
    monkeypatch.setattr(module, "WRITTEN", 36_000)  # room for two of them
    job_id = mlq.post(1)
    one = hand.claim()
    dense = [[i] + [{}] * 3000 for i in range(2)]
    for number in range(1, 5):
        hand.say(one, number, dense[number % 2])
    hand.say(one, 5, more := [2] + [{}] * 3000)
    hand.end(one, success(1))
    for _ in range(2):
        told = client.get(f"/jobs/{job_id}/events").text
        assert [told.count(to_json(chunk)) for chunk in (*dense, more)] == [2, 2, 1]
    times = [written.count(chunk) for chunk in (*dense, more)]
    assert times == [2, 2, 2]  # each reader comes to a third, which replaces one
    assert sum(map(len, module._written._texts.values())) <= 36_000


def test_a_silent_stream_tells_that_it_lives(mlq, client, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.02)
    with client.get(f"/jobs/{mlq.post(1)}/events", buffered=False) as given:
        pieces = iter(given.response)
        assert [next(pieces) for _ in range(4)][2:] == [b": still here\n\n"] * 2


def test_an_answer_that_is_closed_frees_its_follower(mlq, client):
    job_id = mlq.post(1)
    for read in (0, 1, 2):
        given = client.get(f"/jobs/{job_id}/events", buffered=False)
        assert mlq._inbox._followed.keys() == {job_id}
        for _, _piece in zip(range(read), given.response, strict=False):
            pass
        given.close()
        del given
        assert mlq._inbox._followed == {}


def test_a_client_that_vanishes_is_let_go(serve, prepared, mlq, follow):
    prepared("from mlq.http import events; events.BEAT = 0.05")
    serving = serve()
    job_id = mlq.post(1)
    told = [follow(serving, job_id) for _ in range(20)]
    for events in told:
        assert next(iter(events)).name == "state"
    _until_there_are(20, serving)  # not at once: the asker for its readiness may still be leaving
    for events in told:
        events.close()
    _until_there_are(0, serving)


def _until_there_are(count, serving):
    give_up = time.monotonic() + 10
    while (found := _connections(serving)) != count:
        assert time.monotonic() < give_up, found
        time.sleep(0.02)


def _connections(serving):
    """Connections that the server has not closed, whether or not their clients have."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{port_of(serving):04X}") and line[3] in {"01", "08"} for line in lines)


def test_a_claim_is_told_at_once(serve, mlq, hand, follow):
    job_id = mlq.post(1)
    told = iter(follow(serve(), job_id))
    assert next(told).data["state"] == "queued"
    time.sleep(0.1)  # until the follower waits
    began = time.monotonic()
    hand.claim()
    assert next(told).data["state"] == "running"
    assert time.monotonic() - began < 5  # who is not told asks after 15 s


def test_many_streams_while_posts_go_on(serve, mlq, hand, raw, follow):
    ids = [mlq.post(n) for n in range(20)]
    claimed = [hand.claim() for _ in ids]
    others = raw.info("clients")["connected_clients"]
    serving = serve()
    with ThreadPoolExecutor(8) as pool:
        streams = list(pool.map(lambda n: follow(serving, ids[n % 20]), range(200)))
    assert {events.answer.status for events in streams} == {200}
    for n in range(20):
        assert ask(serving, "/jobs", "POST", {"msg": n}).status == 200
    assert raw.info("clients")["connected_clients"] - others < 110  # no stream keeps one, and 100 ask at a time at most
    for one in claimed:
        hand.say(one, 1, one.id)
        hand.end(one, success(1))
    for n, events in enumerate(streams):
        found = [event.data["data"] for event in events if event.name == "chunk"]
        assert found == [ids[n % 20]]


def test_one_worker_tells_many_readers(serve, mlq, follow):
    go = threading.Event()

    def steps(_msg, context):
        go.wait(20)
        for number in range(50):
            context.emit(number)
            print(f"step {number}")
        return "done"

    mlq.create_listener(steps)
    serving = serve()
    job_id = mlq.post(1)
    streams = [follow(serving, job_id) for _ in range(5)]
    go.set()
    for events in streams:
        told = list(events)
        assert [event.data["data"] for event in told if event.name == "chunk"] == list(range(50))
        logged = "".join(event.data["text"] for event in told if event.name == "log")
        assert logged == "".join(f"step {n}\n" for n in range(50))
        assert told[-1].data["short_result"] == "done"
        assert len({event.id for event in told if event.id}) == len([event for event in told if event.id])
