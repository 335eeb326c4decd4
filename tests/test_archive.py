"""Archives: equal content is equal bytes, and what cannot be read is no cache."""

import zipfile

from hypothesis import given
from hypothesis import strategies as st

from segue.archive import Member, read_archive, read_cache, to_json, write_archive, write_atomically

names = st.text("abcäß0 _-./", min_size=1, max_size=12).map(lambda t: t.replace("/", "_") + "x")
members = st.dictionaries(
    names,
    st.builds(
        Member,
        midi=st.none() | st.binary(max_size=40),
        record=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
        key=st.text("0123456789abcdef", max_size=8),
    ),
    max_size=6,
)


@given(content=members)
def test_what_is_written_is_read(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("archive") / "a.zip"
    write_archive(path, content)
    assert read_archive(path) == content


def test_order_of_pieces_does_not_change_the_bytes(tmp_path):
    first = {"b": Member(b"2", {"x": 1, "a": 2}, "k"), "a/c": Member(None, {}, "")}
    write_archive(tmp_path / "1.zip", first)
    write_archive(tmp_path / "2.zip", dict(reversed(first.items())))
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "1.zip").testzip() is None


def test_a_damaged_or_missing_archive_is_an_empty_cache(tmp_path):
    assert read_cache(tmp_path / "none.zip") == {}
    write_archive(tmp_path / "a.zip", {"a": Member(b"1", {}, "k")})
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:40])
    assert read_cache(tmp_path / "a.zip") == {}


def test_json_is_ascii_and_sorted():
    assert to_json({"b": "\udcff", "a": 1}) == '{"a": 1, "b": "\\udcff"}'


def test_atomic_write_leaves_nothing_beside(tmp_path):
    write_atomically(tmp_path / "x" / "file", b"1")
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["file"]
