"""A shard's intermediates in one file: a ZIP with a MIDI file and a JSON record a piece.

Any unpacker opens it and any workstation plays the members. Members are stored uncompressed, in the order of
their names and with a fixed time stamp, so that equal content is equal bytes on every machine.

For a piece `folk/tune`: `folk/tune.mid` (absent when the piece is in quarantine), `folk/tune.json`, an object
with `key` (what the result was computed from, see `segue.process`) and `record`, and the extra files of the
stages so far: pictures such as `folk/tune.humanize.svg`, texts, and the alternatives that a stage offers,
`folk/tune.complete-2.midi` (delivered as `.mid`, which in an archive is the ending of pieces).
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TIME_STAMP = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Member:
    """One piece between two stages: MIDI bytes (None in quarantine), record, cache key and extra files.

    `extras` are bytes by what follows the piece's name: `<stage>.<ending>` or `<stage>-<what>.<ending>`. They
    are no part of what a later stage computes from: they are handed on, and change no key.
    """

    midi: bytes | None
    record: dict[str, Any]
    key: str = ""
    extras: dict[str, bytes] = field(default_factory=dict)


def to_json(value: Any) -> str:
    """JSON in one line with sorted keys: equal values are equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(", ", ": "))


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` beside `path` and rename: a reader or a killed job never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def write_archive(path: Path, members: Mapping[str, Member]) -> None:
    """Write the members, by piece id, to `path`, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for piece, member in sorted(members.items()):
            body = to_json({"key": member.key, "record": member.record})
            archive.writestr(zipfile.ZipInfo(f"{piece}.json", _TIME_STAMP), body)
            if member.midi is not None:
                archive.writestr(zipfile.ZipInfo(f"{piece}.mid", _TIME_STAMP), member.midi)
            for name, data in sorted(member.extras.items()):
                stored = f"{name}i" if name.endswith(".mid") else name
                archive.writestr(zipfile.ZipInfo(f"{piece}.{stored}", _TIME_STAMP), data)
    os.replace(temporary, path)


def read_archive(path: Path) -> dict[str, Member]:
    """The members of an archive by piece id. Raises `zipfile.BadZipFile` or `OSError`."""
    members: dict[str, Member] = {}
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        extras: dict[str, dict[str, bytes]] = {}
        for file in sorted(names):
            if not file.endswith((".json", ".mid")):
                piece, stem, ending = file.rsplit(".", 2)
                name = f"{stem}.{'mid' if ending == 'midi' else ending}"
                extras.setdefault(piece, {})[name] = archive.read(file)
        for file in sorted(names):
            if not file.endswith(".json"):
                continue
            piece = file.removesuffix(".json")
            stored = json.loads(archive.read(file))
            midi = archive.read(f"{piece}.mid") if f"{piece}.mid" in names else None
            members[piece] = Member(midi, stored["record"], stored["key"], extras.get(piece, {}))
    return members


def extra_files(piece: str, member: Member) -> dict[str, bytes]:
    """The files below the output folder that a piece brings beside its music."""
    return {f"{piece}.{name}": data for name, data in member.extras.items()}


def is_extra(piece: str, file: str) -> bool:
    """Whether a delivered file of the piece is one of its `extra_files`: its music has no name of its own."""
    return "." in file.removeprefix(f"{piece}.")


def read_cache(path: Path) -> dict[str, Member]:
    """The members of a previous archive, or nothing where there is none or it cannot be read."""
    try:
        return read_archive(path)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return {}
