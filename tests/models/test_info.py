"""What is kept of a model: read strictly, and bounded in size and in the work that its schemas make."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq import InputError, Undecodable, UnknownModel
from mlq.core.model import LIMIT, ModelInfo
from mlq.core.versions import Versions, by_version, chosen


def info(version="1", **schema):
    return ModelInfo("a", version, "About.", schema, {}, "a")


def test_it_comes_back():
    one = info(type="object", properties={"x": {"type": "number"}})
    assert ModelInfo.parse(one.packed().encode()) == one


@pytest.mark.parametrize(
    "packed", [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"name": 5, "version": "1"}', b"x" * LIMIT]
)
def test_damage_is_told(packed):
    with pytest.raises(Undecodable):
        ModelInfo.parse(packed)


def test_one_without_a_timeout_has_the_default():
    """As versions of before wrote it."""
    fields = info()._asdict()
    del fields["timeout"]
    assert ModelInfo.parse(json.dumps(fields).encode()).timeout == 600
    for timeout in ("5", [], 0, -1):
        with pytest.raises(Undecodable):
            ModelInfo.parse(json.dumps(fields | {"timeout": timeout}).encode())


@pytest.mark.parametrize("version", ["\u00b2", "1" * 5000, "", "a/b"])
def test_a_version_that_none_can_have_is_damage(version):
    """One of them would hide all versions of its model: it has no place in their order."""
    with pytest.raises(Undecodable):
        ModelInfo.parse(json.dumps(info()._asdict() | {"version": version}).encode())


def bomb(width, depth):
    """A small schema that stands for width ** depth parts."""
    parts = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * width} for n in range(depth)}
    return {"$defs": parts | {f"a{depth}": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a0"}}}


@pytest.mark.parametrize("schema", [bomb(4, 15), bomb(2, 40), {"enum": ["x" * LIMIT]}], ids=range(3))
def test_schemas_that_would_take_long_are_refused(schema):
    with pytest.raises(InputError, match="schemas of model 'a'"):
        info(**schema).packed()


def test_a_schema_may_refer_to_itself():
    tree = {"$defs": {"T": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/T"}]}}, "$ref": "#/$defs/T"}
    assert ModelInfo.parse(info(**tree).packed().encode()).input == tree


def test_newest_first():
    versions = [one.version for one in by_version([info(one) for one in ("1", "1.9", "1.10", "2", "10")])]
    assert versions == ["10", "2", "1.10", "1.9", "1"]


def test_a_release_is_newer_than_its_candidates():
    versions = ["1.0.1", "1.0", "1.0-rc2", "1.0-rc1", "0.9"]
    assert [one.version for one in by_version([info(one) for one in sorted(versions)])] == versions


@given(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,10}", fullmatch=True)))
def test_any_versions_have_an_order(versions):
    assert len(by_version([info(version) for version in versions])) == len(versions)


def test_one_is_chosen():
    several = Versions([info("2"), info("1")])
    assert chosen(several, "a", None, "here").version == "2"
    assert chosen(several, "a", "1", "here").version == "1"
    for found, version in ((several, "3"), (Versions([]), None)):
        with pytest.raises(UnknownModel):
            chosen(found, "a", version, "here")
