"""Ingest: a file of any accepted format becomes a `Score` and the record that describes it.

`apply` is a pure function of the file's bytes, its path and the settings. `Reader` runs it in a process of
its own, so that a file which crashes or hangs a parser costs that file alone.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from segue.ingest.chords import carried_chords
from segue.ingest.formats import SUFFIXES, read
from segue.ingest.key import find_key
from segue.ingest.reader import Reader
from segue.ingest.roles import find_roles
from segue.ingest.timing import is_human, nomml
from segue.score import (
    DEFAULT_TEMPO_US,
    TICKS_PER_QUARTER,
    Score,
    Tempo,
    bar_starts,
    meters_from_zero,
    seconds_from_ticks,
)
from segue.stage import Settings, StageError, StageResult

VERSION = 2

#: A piece at this tempo throughout is as many quarters long as a piece of a given time can be.
_FASTEST_BPM = 600

__all__ = ["SUFFIXES", "VERSION", "Reader", "apply"]


def apply(data: bytes, path: str, settings: Settings) -> StageResult:
    """Read and describe one file.

    `path` is the POSIX path below the input folder; the piece's id is the path without its extension. Raises
    `StageError` for a file that cannot be read, holds no notes or is beyond the limits in `settings`.
    """
    limit = settings["max_file_mb"]
    if len(data) > limit * 1e6:
        raise StageError(
            f"the file has {len(data) / 1e6:.1f} MB and ingest.max_file_mb is {limit:g}; "
            "raise it to read the file"
        )
    score, warnings, kind = read(data, path, settings["timeout_s"])
    _check_limits(score, settings)
    carried = carried_chords(score)
    warnings += carried.warnings
    tracks = _describe_tracks(score, played=kind == "midi")
    entries: dict[str, Any] = {
        "id": piece_id(path),
        "source": {
            "path": path,
            "format": kind,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        },
        "warnings": warnings,
        **_describe_piece(score),
        "tracks": tracks,
        "chords": [{"tick": tick, "label": label} for tick, label in carried.chords],
        "chords_from": carried.source,
        "stages": {},
    }
    roles = [track["role"] for track in tracks]
    report = {
        "found": {
            "format": kind,
            "notes": score.note_count,
            "tracks": len(tracks),
            "roles": {role: roles.count(role) for role in dict.fromkeys(roles)},
            "human_tracks": sum(track["human_timing"] for track in tracks),
            "chords": len(carried.chords),
            "chords_from": carried.source,
        },
        "warnings": len(warnings),
    }
    return StageResult(score, report, entries)


def piece_id(path: str) -> str:
    """The id of the piece at a POSIX path below the input folder: the path without its extension."""
    return str(PurePosixPath(path).with_suffix(""))


def _check_limits(score: Score, settings: Settings) -> None:
    if score.note_count == 0:
        raise StageError("the file holds no notes; there is nothing to work on")
    for name, count, what in (
        ("max_notes", score.note_count, "notes"),
        ("max_tracks", len(score.tracks), "tracks"),
    ):
        if count > settings[name]:
            raise StageError(
                f"the piece has {count} {what} and ingest.{name} is {settings[name]}; "
                "raise it to read the piece"
            )
    minutes = float(seconds_from_ticks(score, [score.last_tick])[0]) / 60
    limit = settings["max_minutes"]
    if minutes > limit or score.last_tick > limit * _FASTEST_BPM * TICKS_PER_QUARTER:
        raise StageError(
            f"the piece lasts {minutes:.0f} minutes ({score.last_tick // TICKS_PER_QUARTER} quarters) and "
            f"ingest.max_minutes is {limit:g}; raise it to read the piece, or cut its silence"
        )


def _describe_piece(score: Score) -> dict[str, Any]:
    """Key, and the meter and tempo that hold for most of the piece."""
    key = find_key(score)
    end = max(score.last_tick, 1)
    meters = meters_from_zero(score)
    spans: dict[str, int] = {}
    for meter, stop in zip(meters, [*(m.tick for m in meters[1:]), end], strict=True):
        spans[meter.name] = spans.get(meter.name, 0) + max(min(stop, end) - meter.tick, 0)
    return {
        "key": None if key is None else {"tonic": key.tonic, "mode": key.mode, "name": key.name},
        "meter": max(spans, key=lambda name: spans[name]),
        "tempo_bpm": round(_typical_bpm(score, end), 2),
        "bars": len(bar_starts(score)) - 1,
        "duration_s": round(float(seconds_from_ticks(score, [end])[0]), 3),
    }


def _typical_bpm(score: Score, end: int) -> float:
    """The median tempo over the quarters of the piece."""
    tempos = list(score.tempos)
    if not tempos or tempos[0].tick > 0:
        tempos.insert(0, Tempo(0, DEFAULT_TEMPO_US))
    ticks = np.array([min(t.tick, end) for t in tempos] + [end])
    bpm = np.array([t.bpm for t in tempos])
    order = np.argsort(bpm, kind="stable")
    held = np.cumsum(np.diff(ticks)[order])
    return float(bpm[order][np.searchsorted(held, held[-1] / 2)])


def _describe_tracks(score: Score, played: bool) -> list[dict[str, Any]]:
    """The entries of the tracks; notation was never `played`, however odd its tuplets."""
    entries = []
    for track, role in zip(score.tracks, find_roles(score), strict=True):
        level = nomml(track.notes["onset_tick"])
        entries.append(
            {
                "name": printable(track.name),
                "channel": track.channel,
                "program": track.program,
                "notes": len(track.notes),
                "role": role,
                "human_timing": played and is_human(level),
                "nomml": level,
            }
        )
    return entries


def printable(text: str) -> str:
    """Text as JSON can hold it: bytes that are not UTF-8 are read as Latin-1."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1") if _has_raw_bytes(text) else text


def _has_raw_bytes(text: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in text)
