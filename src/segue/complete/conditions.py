"""The chords that new notes are to fit: the piece's own symbols, or those heard in its accompaniment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from segue.complete.encoding import TICKS_PER_UNIT, Chords
from segue.complete.line import Line
from segue.runtime import Model
from segue.score import Score, bar_starts
from segue.stage import Record


@dataclass(frozen=True)
class Symbols:
    """Chord symbols by the tick from which they hold; nothing is known from `stop_tick` on."""

    ticks: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    stop_tick: int = 0


def find_chords(
    score: Score,
    record: Record,
    choice: str,
    models: Mapping[str, Model],
    melody: int,
    spans: Sequence[tuple[int, int]],
) -> tuple[Symbols, dict[str, Any]]:
    """The chords of a piece by the setting `chords`, and what the report says of them.

    `spans` are the ticks (start, stop) that are to be written. An accompaniment is listened to where it plays
    in one of them; this needs `models["harmony"]`, which is not touched otherwise.
    """
    if choice == "none" or not spans:
        return Symbols(), {"source": "none"}
    written = [(int(entry["tick"]), str(entry["label"])) for entry in record.get("chords", [])]
    if choice in ("auto", "given"):
        if written:
            return _told("given", written, int(bar_starts(score)[-1]))
        if choice == "given":
            return Symbols(), {"source": "none", "reason": "the piece has no chord symbols"}
    stop = _accompanied_until(score, record, melody, spans)
    if stop is None:
        reason = "nothing accompanies the melody where notes are written"
        return Symbols(), {"source": "none", "reason": reason}
    from segue.harmonize import hear_chords

    heard = hear_chords(score, record, models["harmony"])
    return _told("heard", [(symbol.tick, symbol.label) for symbol in heard], stop)


def with_chords(line: Line, symbols: Symbols) -> Line:
    """The line, and the chords under it in its setting."""
    # To the nearest sixteenth: melody and accompaniment may stand beside the grid together.
    units = [3 * round((tick - line.meter.tick) / (3 * TICKS_PER_UNIT)) for tick in symbols.ticks]
    stop = (symbols.stop_tick - line.meter.tick) // TICKS_PER_UNIT
    chords = Chords.from_symbols(units, symbols.labels, stop)
    return replace(line, setting=replace(line.setting, chords=chords))


def _told(source: str, symbols: list[tuple[int, str]], stop: int) -> tuple[Symbols, dict[str, Any]]:
    ordered = sorted(symbols)
    found = Symbols(tuple(t for t, _ in ordered), tuple(label for _, label in ordered), stop)
    return found, {"source": source, "symbols": len(ordered), "until_tick": stop}


def _accompanied_until(
    score: Score, record: Record, melody: int, spans: Sequence[tuple[int, int]]
) -> int | None:
    """Where the last other note with pitch ends, if any of them sounds in the spans."""
    roles = [entry.get("role") for entry in record.get("tracks", [])]
    roles += [None] * (len(score.tracks) - len(roles))
    found, last = False, 0
    for i, (track, role) in enumerate(zip(score.tracks, roles, strict=False)):
        if i == melody or track.is_drum or role == "drums" or not len(track.notes):
            continue
        onset = track.notes["onset_tick"].astype(int)
        end = onset + track.notes["duration_tick"]
        found = found or any(bool(((onset < stop) & (end > start)).any()) for start, stop in spans)
        last = max(last, int(end.max()))
    return last if found else None
