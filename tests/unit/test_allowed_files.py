"""Addresses of files: only those below a place that was named, whatever leads there."""

import pytest

from mlq.batches.allowed import Allowed
from mlq.errors import InputError


@pytest.fixture
def inside(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.csv").write_text("a")
    (tmp_path / "inner").mkdir()
    return tmp_path / "in"


def test_what_is_below_a_place(inside):
    allowed = Allowed([str(inside), "s3://bucket/data"])
    assert allowed
    assert allowed.checked("input", str(inside / "a.csv")) == str(inside / "a.csv")
    assert allowed.checked("input", f"{inside}/deep/../a.csv") == str(inside / "a.csv")
    assert allowed.checked("output", f"{inside}/new/b.csv") == f"{inside}/new/b.csv"
    assert allowed.checked("input", "s3://bucket/data/x/y.csv") == "s3://bucket/data/x/y.csv"


def test_a_place_may_be_a_link(inside, tmp_path):
    (tmp_path / "link").symlink_to(inside)
    allowed = Allowed([f"{tmp_path}/link/"])
    assert allowed.checked("input", f"{tmp_path}/link/a.csv") == str(inside / "a.csv")
    assert allowed.checked("input", f"{inside}/a.csv") == str(inside / "a.csv")


@pytest.mark.parametrize(
    "address",
    [
        "{0}", "{0}/", "{0}/..", "{0}/../inner/b.csv", "{0}ner/b.csv", "{0}/out/passwd", "{0}/gone", "/etc/passwd",
        "a.csv", "", None, 3, ["x"], "{0}/a\0b", "{0}/" + "x" * 5000, "file://{0}/a.csv", "local://{0}/a.csv",
        "simplecache::{0}/a.csv",
        "s3://bucket/data", "s3://bucket/data/", "s3://bucket/database/x", "s3://other/data/x", "S3://bucket/data/x",
        "s3://bucket/data/../x", "s3://bucket/data/%2e%2e/x", "s3://bucket/data/./x", "s3://bucket/data/x::file:///etc/passwd",
        "simplecache::s3://bucket/data/x", "s3://bucket/data/x?versionId=1", "s3://bucket/data/x#y", "s3://bucket/data/..\\x",
        "https://bucket/data/x",
    ],
)  # fmt: skip
def test_everything_else_is_refused(inside, tmp_path, address):
    (inside / "out").symlink_to("/etc")
    (inside / "gone").symlink_to(tmp_path / "inner" / "not-there")
    given = address.format(inside) if isinstance(address, str) else address
    with pytest.raises(InputError, match="input"):
        Allowed([str(inside), "s3://bucket/data/"]).checked("input", given)


def test_nothing_is_allowed_that_was_not_named(inside):
    assert not Allowed(["", ""])
    with pytest.raises(InputError, match="MLQ_FILE_PLACES"):
        Allowed([]).checked("input", str(inside / "a.csv"))


@pytest.mark.parametrize(
    "place", ["data", "../x", "file:///data", "local://data", "s3://", "s3://b/../c", "a::s3://b/c"]
)
def test_places_that_are_none(place):
    with pytest.raises(InputError, match="MLQ_FILE_PLACES"):
        Allowed([place])


@pytest.mark.parametrize("name", ["x.csv.partial/run.json", "x.csv.partial", "deep/y.partial/joined"])
def test_the_folders_of_runs_are_not_allowed(inside, name):
    """Whoever could write there could forge another's output."""
    allowed = Allowed([str(inside), "s3://bucket/data"])
    for address in (f"{inside}/{name}", f"s3://bucket/data/{name}"):
        with pytest.raises(InputError, match="is in the folder of a run"):
            allowed.checked("output", address)
