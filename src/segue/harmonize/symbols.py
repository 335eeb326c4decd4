"""Chord symbols: those that a file carries, how far they hold, and how found ones are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.beats import Grid
from segue.chords import NO_CHORD, Chord, nearest_majmin_class, parse_chord
from segue.harmonize.keys import Region, key_at, key_entry
from segue.harmonize.roman import roman_numeral
from segue.harmonize.voicing import Span
from segue.ingest.chords import MARKERS, XF, carried_chords, label_of, symbol_of
from segue.score import MARKER, Score, Text, make_notes
from segue.stage import Record

#: A symbol holds as long as the longest of the others, twice, and eight bars in any case. After that the
#: file is taken to have stopped writing symbols.
_LONGER = 2
_LEAST_BARS = 8
#: The octaves of a symbol's bass and tones, and their velocity, where they are heard as notes.
_BASS, _TONES = 36, 48
_VELOCITY = 64
#: Where chords were read from that are taken out of the score when they are replaced.
REMOVABLE = (MARKERS, XF)


@dataclass(frozen=True)
class Symbol:
    """A chord from a tick on, as it is written."""

    tick: int
    chord: Chord
    label: str


def symbols_of(score: Score, record: Record) -> tuple[list[Symbol], str | None]:
    """The chord symbols that a piece carries, by tick, and where they were read: by its record, else anew."""
    if "chords" in record:
        pairs = [(int(entry["tick"]), str(entry["label"])) for entry in record["chords"]]
        source = record.get("chords_from", MARKERS if pairs else None)
    else:
        carried = carried_chords(score)
        pairs, source = list(carried.chords), carried.source
    symbols = [Symbol(tick, c, label) for tick, label in pairs if (c := parse_chord(label)) is not None]
    return sorted(symbols, key=lambda s: s.tick), source


def stops_of(symbols: Sequence[Symbol], end: int) -> list[int]:
    """The tick up to which each symbol holds, where it holds up to the next one."""
    return [*(s.tick for s in symbols[1:]), end][: len(symbols)]


def holds(symbols: Sequence[Symbol], grid: Grid, extended_from: int | None) -> list[tuple[int, int]]:
    """The beats (first, stop) in which each symbol of a file holds.

    Up to the next one; but where that is far away, or where the piece was extended at its end, only for as
    long as symbols usually hold here, in whole bars, or a bar. No chord holds as long as it is written.
    """
    if not symbols:
        return []
    first = np.searchsorted(grid.ticks[:-1], [s.tick for s in symbols], "left")
    stops = np.append(first[1:], len(grid))
    bar = np.cumsum(grid.bar_begins)
    bar = np.append(bar, bar[-1] + 1)
    between = bar[first[1:]] - bar[first[:-1]]
    longest = max(_LEAST_BARS, _LONGER * int(np.sort(between)[:-1].max(initial=0)))
    usual = max(int(np.median(between)), 1) if len(between) else 1
    spans = []
    for i, (symbol, start, stop) in enumerate(zip(symbols, first.tolist(), stops.tolist(), strict=True)):
        if symbol.chord.is_chord and bar[stop] - bar[start] > longest:
            stop = int(np.searchsorted(bar, bar[start] + usual, "left"))
        if i == len(symbols) - 1 and extended_from is not None:
            new = int(np.searchsorted(grid.ticks[:-1], extended_from, "left"))
            stop = max(min(stop, new), start)
        spans.append((start, stop))
    return spans


def as_notes(symbols: Sequence[Symbol], spans: Sequence[tuple[int, int]], grid: Grid) -> np.ndarray:
    """The tones of symbols with their basses below, held over the beats of `spans`: a NOTE array."""
    columns = [
        (int(grid.ticks[start]), int(grid.ticks[stop] - grid.ticks[start]), pitch)
        for symbol, (start, stop) in zip(symbols, spans, strict=True)
        if symbol.chord.is_chord and stop > start
        for pitch in (_BASS + symbol.chord.bass, *(_TONES + c for c in symbol.chord.pitch_classes))
    ]
    onset, duration, pitch = np.array(columns, np.int64).reshape(-1, 3).T
    return make_notes(onset, duration, pitch, np.full(len(columns), _VELOCITY))


def fixed_classes(
    symbols: Sequence[Symbol], spans: Sequence[tuple[int, int]], first_beat: int, grid: Grid
) -> np.ndarray:
    """The majmin class of the beats whose chord is known, int64, shape (beats,); -1 elsewhere.

    Less than a bar before the first symbol is a pickup, which has no chord of its own.
    """
    fixed = np.full(len(grid), -1)
    begin = spans[0][0] if spans else 0
    # A pickup may have a short bar of its own.
    bar = max(grid.bar_beats[first_beat], grid.bar_beats[min(begin, len(grid) - 1)])
    if begin - first_beat < bar:
        first_beat = max(first_beat, begin)
    fixed[:first_beat] = nearest_majmin_class(NO_CHORD)
    for symbol, (start, stop) in zip(symbols, spans, strict=True):
        fixed[start:stop] = nearest_majmin_class(symbol.chord)
    return fixed


def merge(
    chords: Sequence[Chord],
    grid: Grid,
    kept: Sequence[Symbol],
    spans: Sequence[tuple[int, int]],
    keys: Sequence[Region],
) -> tuple[list[Symbol], list[Symbol]]:
    """The chords of every beat as symbols, one where the chord changes: all with the kept ones, and the new.

    A chord that goes on after the span of a kept symbol, though perhaps in another colour, is not written
    again.
    """
    held: list[Symbol | None] = [None] * len(grid)
    for symbol, (start, stop) in zip(kept, spans, strict=True):
        held[start:stop] = [symbol] * (stop - start)
    found: list[Symbol] = []
    last, goes_on = NO_CHORD, -1
    for beat, chord in enumerate(chords):
        own = held[beat]
        if own is not None:
            last, goes_on = own.chord, nearest_majmin_class(own.chord)
            continue
        if nearest_majmin_class(chord) == goes_on:
            continue
        goes_on = -1
        if chord != last:
            tick = int(grid.ticks[beat])
            found.append(Symbol(tick, chord, chord.symbol(key_entry(key_at(keys, tick)))))
            last = chord
    return sorted([*kept, *found], key=lambda s: s.tick), found


def with_symbols(score: Score, symbols: Sequence[Symbol], removed: Sequence[Symbol]) -> Score:
    """The score with a marker for every symbol, behind those that are there, and without the removed ones.

    Of the file's own events markers and XF chords are removed; words and notes are left alone.
    """
    gone = {(s.tick, s.label) for s in removed}
    texts = [text for text in score.texts if (text.tick, label_of(text)) not in gone]
    there = {(text.tick, symbol_of(text.text)) for text in texts if text.kind == MARKER}
    texts += [Text(s.tick, MARKER, s.label) for s in symbols if (s.tick, s.label) not in there]
    return replace(score, texts=tuple(sorted(texts, key=lambda t: t.tick)))


def entries(symbols: Sequence[Symbol], keys: Sequence[Region]) -> list[dict[str, Any]]:
    """As symbols stand in the record's `chords`: with the Roman numeral in the key that holds there."""
    following = [*(s.chord for s in symbols[1:]), None][: len(symbols)]
    return [
        {"tick": s.tick, "label": s.label, "roman": roman_numeral(s.chord, key_at(keys, s.tick), after)}
        for s, after in zip(symbols, following, strict=True)
    ]


def spans_of(symbols: Sequence[Symbol], end: int) -> list[Span]:
    """The chords with the ticks between which they sound; the last one sounds to `end`."""
    pairs = zip(symbols, stops_of(symbols, end), strict=True)
    return [Span(s.chord, s.tick, stop) for s, stop in pairs if s.chord.is_chord and stop > s.tick]
