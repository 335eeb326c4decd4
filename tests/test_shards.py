"""The plan: stable shards, lists written where they changed, missing outputs asked for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.shards import (
    list_path,
    make_plan,
    manifest_path,
    read_list,
    remove_leftovers,
    restore_path,
    scan,
    shard_index,
)


def fill(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def plan(tmp_path, shard_size=2):
    return make_plan(tmp_path / "input", tmp_path / "output", tmp_path / "work", shard_size)


def test_ids_are_paths_without_extension(tmp_path):
    fill(tmp_path, ["b/one.mid", "a.KAR", "a.abc", "a.mid", ".hidden.mid", "notes.txt", "b/.git/x.mid"])
    sources, ignored = scan(tmp_path)
    assert [(s.piece, s.path) for s in sources] == [
        ("a", "a.mid"),
        ("a.KAR", "a.KAR"),
        ("a.abc", "a.abc"),
        ("b/one", "b/one.mid"),
    ]
    assert ignored == 1


@given(st.text(min_size=1), st.integers(1, 5000))
def test_shard_is_stable_and_within_range(piece, count):
    assert 0 <= shard_index(piece, count) < count
    assert shard_index(piece, count) == shard_index(piece, count)


def test_shards_are_pinned():
    # A changed hash would move every piece of every user.
    assert [shard_index(p, 16) for p in ("folk/tune", "a", "drums/loop")] == [9, 10, 5]


def test_count_of_shards_is_kept_when_pieces_come(tmp_path):
    fill(tmp_path / "input", [f"{i}.mid" for i in range(6)])
    first = plan(tmp_path)
    assert len(first.shards) == 3
    fill(tmp_path / "input", [f"n{i}.mid" for i in range(20)])
    second = plan(tmp_path)
    assert second.shards == first.shards
    listed = [s.piece for name in second.shards for s in read_list(list_path(second.folder, name))]
    assert sorted(listed) == sorted(second.pieces)
    assert len(listed) == 26


def test_lists_are_written_only_where_they_change(tmp_path):
    fill(tmp_path / "input", [f"{i}.mid" for i in range(8)])
    made = plan(tmp_path)
    times = {n: list_path(made.folder, n).stat().st_mtime_ns for n in made.shards}
    fill(tmp_path / "input", ["new.mid"])
    plan(tmp_path)
    changed = [n for n in made.shards if list_path(made.folder, n).stat().st_mtime_ns != times[n]]
    assert changed == [made.shards[shard_index("new", len(made.shards))]]


def test_missing_output_is_asked_for_once_a_deletion(tmp_path):
    fill(tmp_path / "input", ["a.mid"])
    made = plan(tmp_path)
    shard = made.shards[0]
    fill(tmp_path / "output", ["a.mid", "a.json"])
    manifest = manifest_path(made.folder, shard)
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"id": "a", "key": "k", "files": ["a.json", "a.mid"]}) + "\n")
    request = restore_path(made.folder, shard)
    plan(tmp_path)
    assert request.read_text() == "0\n"
    (tmp_path / "output" / "a.mid").unlink()
    plan(tmp_path)
    assert request.read_text() == "1\na.mid\n"


def test_leftovers_of_another_layout_are_removed(tmp_path):
    fill(tmp_path / "input", ["a.mid", "b.mid"])
    old = plan(tmp_path, 1)
    fill(tmp_path / "output", ["a.mid", "b.mid"])
    manifest = manifest_path(old.folder, old.shards[0])
    manifest.parent.mkdir(parents=True)
    rows = [{"id": p, "key": "k", "files": [f"{p}.mid"]} for p in "ab"]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "input" / "b.mid").unlink()
    new = plan(tmp_path, 64)
    assert new.folder != old.folder
    assert remove_leftovers(new, tmp_path / "output") == 1
    assert [p.name for p in (tmp_path / "output").iterdir()] == ["a.mid"]


def test_no_input_folder_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="make it and put music in"):
        plan(tmp_path)
