"""The plan of a run: which pieces there are and which shard each belongs to.

A shard is a stable group of pieces, chosen by a hash of the piece id, so that adding or removing a piece
touches one shard. The number of shards follows the number of pieces on the first run and is then recorded in
the work folder, because a changed number would move every piece.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from segue.archive import to_json, write_atomically
from segue.config import STAGES
from segue.ingest import SUFFIXES

#: How an alternative of another piece is named in the output folder (`segue.archive.extra_files`).
_ALTERNATIVE = re.compile(rf"(.+)\.(?:{'|'.join(STAGES)})-\d+", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """One input file: its piece id, path below the input folder, size in bytes and time in ns."""

    piece: str
    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Plan:
    """What the workflow needs to know of a run.

    `folder` holds all that belongs to this number of shards: another number has a folder of its own, so
    that changing it (or trying it in a dry run) destroys nothing.
    """

    folder: Path
    shards: tuple[str, ...]
    pieces: frozenset[str]
    ignored: int


def scan(folder: Path) -> tuple[list[Source], int]:
    """The music files below `folder`, by piece id, and the number of files that were passed over.

    Files that differ in their extension alone would share an id: the first in the order of `SUFFIXES` keeps
    the short id, the others keep their extension in it. So does an alternative that was put back beside its
    piece: under its own name the next alternatives of that piece are delivered.
    """
    found: list[tuple[str, str, os.stat_result]] = []
    ignored = 0
    for path, entry in _walk(folder, ""):
        suffix = os.path.splitext(path)[1].lower()
        if suffix in SUFFIXES:
            found.append((path, suffix, entry.stat()))
        else:
            ignored += 1
    found.sort(key=lambda item: (SUFFIXES.index(item[1]), item[0]))
    taken: set[str] = set()
    stems = {os.path.splitext(path)[0] for path, _, _ in found}
    sources: list[Source] = []
    for path, _, stat in found:
        stem = os.path.splitext(path)[0]
        piece = _printable(stem)
        alternative = _ALTERNATIVE.fullmatch(stem)
        if piece in taken or (alternative and alternative[1] in stems):
            piece = _printable(path)
        taken.add(piece)
        sources.append(Source(piece, path, stat.st_size, stat.st_mtime_ns))
    return sorted(sources, key=lambda s: s.piece), ignored


def _printable(path: str) -> str:
    """The path with bytes that are no UTF-8 written as escapes: ids go into archives and JSON."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _walk(folder: Path | str, prefix: str) -> Iterator[tuple[str, os.DirEntry]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file():
                yield prefix + entry.name, entry


def shard_index(piece: str, count: int) -> int:
    """The shard of a piece among `count`: a stable hash of its id."""
    digest = hashlib.sha256(piece.encode()).digest()
    return int.from_bytes(digest[:8], "big") % count


def list_path(folder: Path, shard: str) -> Path:
    """The file that lists the pieces of a shard."""
    return folder / "shards" / f"{shard}.jsonl"


def restore_path(folder: Path, shard: str) -> Path:
    """The file that asks a shard to deliver again what is missing from the output folder."""
    return folder / "restore" / f"{shard}.txt"


def manifest_path(folder: Path, shard: str) -> Path:
    """The file that says what a shard delivered: one JSON object {id, key, files} a line and piece."""
    return folder / "render" / f"{shard}.jsonl"


def records_path(folder: Path, shard: str) -> Path:
    """The final records of a shard's pieces, one JSON object a line, by piece id."""
    return folder / "records" / f"{shard}.jsonl"


def read_list(path: Path) -> list[Source]:
    """The sources listed in a shard's list file."""
    return [Source(*json.loads(line)) for line in path.read_text("ascii").splitlines()]


def make_plan(input_folder: Path, output_folder: Path, work: Path, shard_size: int) -> Plan:
    """Scan the input and bring the lists of the shards up to date; files are written where they changed.

    Raises `FileNotFoundError` when there is no input folder.
    """
    if not input_folder.is_dir():
        raise FileNotFoundError(
            f"there is no input folder {input_folder}: make it and put music in, or name another (input: ...)"
        )
    sources, ignored = scan(input_folder)
    count = _shard_count(work, len(sources), shard_size)
    folder = work / f"{count}-shards"
    names = shard_names(count)
    groups: dict[str, list[Source]] = {name: [] for name in names}
    for source in sources:
        groups[names[shard_index(source.piece, count)]].append(source)
    for name, group in groups.items():
        text = "".join(to_json(astuple(source)) + "\n" for source in group)
        _write_if_changed(list_path(folder, name), text)
    _ask_for_missing(output_folder, folder, names)
    return Plan(folder, names, frozenset(s.piece for s in sources), ignored)


def read_plan(work: Path, shard_size: int) -> Plan:
    """The plan that the main process of a run has made, as far as a job needs it."""
    count = _recorded(work).get(str(shard_size), 1)
    return Plan(work / f"{count}-shards", shard_names(count), frozenset(), 0)


def shard_names(count: int) -> tuple[str, ...]:
    """Names of `count` shards: their numbers, all of one width."""
    width = max(4, len(str(count - 1)))
    return tuple(f"{i:0{width}d}" for i in range(count))


def _recorded(work: Path) -> dict[str, int]:
    """Number of shards by shard size, as recorded on the first run of each."""
    path = work / "layout.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _shard_count(work: Path, pieces: int, shard_size: int) -> int:
    recorded = _recorded(work)
    count = recorded.get(str(shard_size)) or max(1, math.ceil(pieces / shard_size))
    if pieces and str(shard_size) not in recorded:
        recorded[str(shard_size)] = count
        write_atomically(work / "layout.json", (to_json(recorded) + "\n").encode())
    return count


def remove_leftovers(plan: Plan, output: Path) -> int:
    """Remove from the output what other layouts delivered for pieces that are gone; returns the number."""
    removed = 0
    for manifest in sorted(plan.folder.parent.glob("*-shards/render/*.jsonl")):
        if manifest.parents[1] == plan.folder:
            continue
        for piece, names in delivered(manifest).items():
            for name in names if piece not in plan.pieces else []:
                removed += (output / name).is_file()
                (output / name).unlink(missing_ok=True)
    return removed


def delivered(manifest: Path) -> dict[str, list[str]]:
    """Piece id to the files that a manifest says were delivered, relative to the output folder."""
    return {piece: row["files"] for piece, row in read_manifest(manifest).items()}


def read_manifest(manifest: Path) -> dict[str, dict]:
    """The rows of a manifest or records file by piece id; nothing where it is missing or damaged."""
    try:
        rows = [json.loads(line) for line in manifest.read_text("ascii").splitlines()]
        return {row["id"]: row for row in rows}
    except (OSError, ValueError, KeyError):
        return {}


def _ask_for_missing(output: Path, folder: Path, shards: tuple[str, ...]) -> None:
    """Where a delivered file is gone from the output, change the shard's restore file: its rule runs."""
    present = {path for path, _ in _walk(output, "")} if output.is_dir() else set()
    for shard in shards:
        request = restore_path(folder, shard)
        if not request.exists():
            write_atomically(request, b"0\n")
        manifest = manifest_path(folder, shard)
        if not manifest.is_file():
            continue
        missing = [n for names in delivered(manifest).values() for n in names if n not in present]
        if missing:
            # The number makes the content new even when the same file is deleted twice.
            number = int(request.read_text("utf-8").split("\n", 1)[0]) + 1
            body = f"{number}\n" + "".join(f"{name}\n" for name in sorted(missing))
            write_atomically(request, body.encode())


def _write_if_changed(path: Path, text: str) -> None:
    data = text.encode()
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data)
