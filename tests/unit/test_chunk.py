"""The message and the result of a chunk's job: read strictly."""

import pytest

from mlq import Undecodable
from mlq.core import codec
from mlq.core.chunk import Chunk, Predicted

CHUNK = Chunk("csv", b"1,2\n", 2, ("a", "b"), (("x", "a"),), ("b",), ";", ("species",))
PREDICTED = Predicted(b"2,setosa\n", b"", 1, 0, ("species",))


def test_they_come_back():
    assert Chunk.parse(CHUNK.packed()) == CHUNK
    assert Predicted.parse(PREDICTED.packed()) == PREDICTED


def test_a_chunk_can_be_posted_as_it_is():
    assert codec.pack(CHUNK) == CHUNK.packed()
    assert Chunk.of(codec.unpack(codec.pack(CHUNK))) == CHUNK


@pytest.mark.parametrize("packed", [b"", b"\xc1", codec.pack(5), codec.pack([1, 2]), codec.pack([None] * 8)])
def test_damage_is_told(packed):
    for kind in (Chunk, Predicted):
        with pytest.raises(Undecodable):
            kind.parse(packed)


@pytest.mark.parametrize(
    "wrong",
    [{"form": "xml"}, {"form": []}, {"data": "text"}, {"line": 0}, {"line": True}, {"columns": "ab"}, {"columns": (1,)},
     {"fields": 5}, {"fields": (("a",),)}, {"fields": ("ab",)}, {"keep": None}, {"delimiter": ""},
     {"outputs": (b"a",)}],
)  # fmt: skip
def test_a_damaged_chunk_is_told(wrong):
    with pytest.raises(Undecodable):
        Chunk.parse(CHUNK._replace(**wrong).packed())


@pytest.mark.parametrize(
    "wrong", [{"output": "text"}, {"errors": None}, {"rows": -1}, {"failed": 2}, {"rows": 1.0}, {"outputs": 5}]
)
def test_a_damaged_result_is_told(wrong):
    with pytest.raises(Undecodable):
        Predicted.parse(PREDICTED._replace(**wrong).packed())
