"""Values as JSON: large ones are taken in turns, one at a time, and absurd ones are refused before anything is made."""

import json
import threading

import numpy as np
import pytest

from mlq import MLQ
from mlq.core import json_values
from mlq.core.json_values import MOST, TURN, to_json
from mlq.errors import Undecodable

LARGE = [
    [0.1 * number for number in range(3 * TURN)],
    [{"a": [number, "é", None, True]} for number in range(TURN)],
    {f"k{number}": {"a": 1} for number in range(TURN)},
]


@pytest.mark.parametrize("value", LARGE)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_large_value_reads_as_a_small_one_does(value, indent):
    assert to_json(value, indent) == json.dumps(value, ensure_ascii=False, indent=indent)


def test_a_large_array_becomes_lists():
    array = np.arange(4 * TURN).reshape(2, -1)
    assert json.loads(to_json(array)) == array.tolist()


@pytest.mark.parametrize("value", [*LARGE, np.zeros(3 * TURN)])
def test_others_have_their_turn_while_a_large_value_is_taken(monkeypatch, value):
    turns = []
    monkeypatch.setattr(json_values, "sleep", turns.append)
    to_json(value)
    assert len(turns) >= 6  # while it is looked at, and while its text is made


@pytest.mark.parametrize("shape", [(10**7, 0), (10**9, 0), (10**6, 10**3, 0), (4000, 4000, 0), (MOST,), (MOST // 2, 1)])
@pytest.mark.parametrize("place", [lambda array: array, lambda array: {"a": [array]}])
def test_an_array_of_too_many_parts_is_refused(shape, place):
    array = np.broadcast_to(np.zeros(1, "u1"), shape)  # takes no memory
    with pytest.raises(Undecodable, match="too many for JSON"):
        to_json(place(array))


@pytest.mark.parametrize("shape", [(0, 10**9), (2, 0, 10**9), (0,)])
def test_an_array_of_few_parts_is_not(shape):
    array = np.zeros(shape, "u1")
    assert to_json(array) == json.dumps(array.tolist())


def test_many_arrays_count_together(monkeypatch):
    monkeypatch.setattr(json_values, "MOST", 9 * TURN)
    with pytest.raises(Undecodable, match="too many for JSON"):
        to_json([np.zeros((3 * TURN, 0), "u1")] * 4)


def test_after_a_refusal_the_next_large_value_has_its_turn():
    for _ in range(2):
        with pytest.raises(Undecodable):
            to_json([LARGE[0], np.zeros((10**7, 0))])
    done = threading.Thread(target=to_json, args=(LARGE[0],), daemon=True)
    done.start()
    done.join(20)
    assert not done.is_alive()


def test_an_empty_array_of_ten_million_rows_is_told_and_not_listed(mlq: MLQ, client):
    mlq.create_listener(lambda _msg: np.zeros((10**7, 0)))
    job = mlq.submit(1)
    job.result(60)
    given = client.get(f"/jobs/{job.id}/result", headers={"Accept": "application/json"})
    assert (given.status_code, "too many for JSON" in given.json["detail"]) == (422, True)
