"""The end that complete has added to a piece, where its own accompaniment is silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.beats import Grid
from segue.harmonize.listening import Parts, ends_of
from segue.harmonize.voicing import Span
from segue.score import Score, Track
from segue.stage import Record

#: An accompaniment that has stopped so many bars before the new music does not go with the melody.
_SILENT_BARS = 2
#: How far, in beats, a last note may ring into the beat from which it is taken up.
_RINGS = 0.25


@dataclass(frozen=True)
class Extension:
    """New music at the end of a piece, from `start` to `stop` (ticks)."""

    start: int
    stop: int


def extension_of(record: Record) -> Extension | None:
    """The music that complete has written beyond the end of the melody, if any."""
    # Complete hears through this package, so what is made of complete's parts is not imported above.
    from segue.complete.plan import OPEN_END

    places = record.get("stages", {}).get("complete", {}).get("added", [])
    ends = [place for place in places if place["why"] == OPEN_END]
    return Extension(int(ends[-1]["from_tick"]), int(ends[-1]["to_tick"])) if ends else None


def unaccompanied(extension: Extension, parts: Parts, grid: Grid) -> Extension | None:
    """The part of an extension in which the accompaniment that led there is silent; None without one."""
    end = int(ends_of(parts.accompaniment).max(initial=-1))
    bars = np.append(grid.ticks[:-1][grid.bar_begins], grid.ticks[-1])
    before = int(np.searchsorted(bars, extension.start, "right")) - 1 - _SILENT_BARS
    if end < 0 or end <= bars[max(before, 0)]:
        return None
    ring = _RINGS * float(np.diff(grid.ticks).mean())
    beat = int(np.searchsorted(grid.ticks, max(extension.start, end) - ring, "left"))
    start = int(grid.ticks[min(beat, len(grid))])
    return Extension(start, extension.stop) if start < min(extension.stop, int(grid.ticks[-1])) else None


def spans_within(spans: Sequence[Span], extension: Extension) -> list[Span]:
    """The part of the spans from the start of an extension on."""
    return [replace(s, start=max(s.start, extension.start)) for s in spans if s.end > extension.start]


def accompanist(score: Score, record: Record) -> Track | None:
    """The track that plays most of the accompaniment: the one in the role of chords with the most notes."""
    roles: list[dict[str, Any]] = record.get("tracks", [])
    pairs = [(t, r.get("role")) for t, r in zip(score.tracks, roles, strict=False) if len(t.notes)]
    for wanted in ("chords", "other"):
        tracks = [track for track, role in pairs if role == wanted and not track.is_drum]
        if tracks:
            return max(tracks, key=lambda track: len(track.notes))
    return None
