"""Chord symbols that a file carries, wherever it does.

Of these places the first that holds chords counts:

1. markers, which is also where the readers of ABC and MusicXML put their symbols;
2. chord events of Yamaha's XF format (`xf`);
3. text events, cue points and lyrics: a row of events (those of one kind in one track) that are chord symbols
   for the most part, or texts with symbols in square brackets (`[Am]Hello`);
4. a track that is called chords or the like and plays nothing but block chords (`chord_track`).

Words are no chords. A word may look like one (A, Am, Em, Go, Do, Ah), so a row counts only if three in four
of its events are symbols, two different ones at least, and one of them is no word: it has a number or a sign
(`G7`, `F#`, `Bb`) or is minor on a root that makes no word (`Dm`). Outside of lyrics bare letters will do
where nothing else is written, if they are not so far apart that they name sections.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.chords import parse_chord
from segue.ingest.chord_track import chords_of_tracks
from segue.ingest.xf import xf_label
from segue.score import CUE_POINT, LYRIC, MARKER, SEQUENCER_SPECIFIC, TEXT, Score, Text, meter_at

#: Bare letters at least this many bars apart name sections (A, B, A), not chords.
_SECTION_BARS = 4
#: Share of a row's events, or of what stands in brackets, that are chord symbols.
_MOST, _IN_BRACKETS = 0.75, 0.5
_FEWEST = 3
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
#: What a chord symbol has and a word has not.
_NO_WORD = re.compile(r"[A-G](?:.*[0-9#♯♭°ø/+]|b(?!o)|(?<=[BCDFG])m|.*(?:maj|sus|min))")
#: Where chords are read from.
MARKERS, XF, TRACK = "markers", "Yamaha XF", "chord track"
_KINDS = {TEXT: "text events", CUE_POINT: "cue points", LYRIC: "lyrics"}


@dataclass(frozen=True)
class Carried:
    """Chords of a file: (tick, label) in order of time, what they were read from, and warnings about them."""

    chords: tuple[tuple[int, str], ...] = ()
    source: str | None = None
    warnings: tuple[str, ...] = ()


def carried_chords(score: Score) -> Carried:
    """The chords that a score carries; see the module's order of places."""
    if markers := chord_markers(score):
        return Carried(_distinct([(text.tick, symbol_of(text.text)) for text in markers]), MARKERS)
    events = [(t.tick, label_of(t)) for t in score.texts if t.kind == SEQUENCER_SPECIFIC]
    if known := [(tick, label) for tick, label in events if label is not None]:
        return Carried(_distinct(known), XF)
    for kind, source in _KINDS.items():
        rows = [[t for t in place.texts if t.kind == kind] for place in (score, *score.tracks)]
        found = max((_symbols_in(score, row) for row in rows), key=len)
        if found:
            return Carried(_distinct(found), source)
    played, warnings = chords_of_tracks(score)
    return Carried(tuple(played), TRACK if played else None, tuple(warnings))


def chord_markers(score: Score) -> list[Text]:
    """The markers that are chord symbols; none where they read more like sections named by letters."""
    markers = [text for text in score.markers() if label_of(text) is not None]
    labels = [symbol_of(text.text) for text in markers]
    if not markers or any(len(label) > 1 for label in labels):
        return markers
    return [] if _far_apart(score, [text.tick for text in markers]) else markers


def label_of(text: Text) -> str | None:
    """The chord symbol of a marker or an XF event, None for any other event and for one that is no chord."""
    if text.kind == SEQUENCER_SPECIFIC:
        return xf_label(text.text)
    label = symbol_of(text.text)
    return label if text.kind == MARKER and parse_chord(label) is not None else None


def symbol_of(text: str) -> str:
    """What a text says if it is a chord symbol: without brackets around it and marks of karaoke lines."""
    text = text.strip().lstrip("/\\").strip()
    inside = _BRACKETS.fullmatch(text)
    return inside[1].strip() if inside else text


def _symbols_in(score: Score, row: Sequence[Text]) -> list[tuple[int, str]]:
    """The chords (tick, label) of a row of texts, none where it is no row of chords."""
    # Karaoke files begin with lines such as "@TTitle".
    row = [text for text in row if symbol_of(text.text) and not text.text.startswith("@")]
    whole = [(t.tick, label) for t in row if parse_chord(label := symbol_of(t.text)) is not None]
    if whole and len(whole) >= _MOST * len(row):
        alone = len(whole) == len(row) and row[0].kind != LYRIC
        return whole if _are_chords(score, whole, alone) else []
    bracketed = [(text.tick, _BRACKETS.findall(text.text)) for text in row]
    if any(len(inside) > 1 for _, inside in bracketed):
        return []  # Where in the line the others change is not told.
    inside = [(tick, labels[0].strip()) for tick, labels in bracketed if labels]
    found = [(tick, label) for tick, label in inside if parse_chord(label) is not None]
    many = len(found) >= max(_IN_BRACKETS * len(inside), 1)
    return found if many and _are_chords(score, found, alone=True) else []


def _are_chords(score: Score, symbols: Sequence[tuple[int, str]], alone: bool) -> bool:
    """Whether what can be read as symbols is meant so; `alone` says that bare letters may be."""
    labels = [label for _, label in symbols]
    if len(labels) < _FEWEST or len({parse_chord(label) for label in labels}) < 2:
        return False
    if any(_NO_WORD.match(label) for label in labels):
        return True
    return alone and not _far_apart(score, [tick for tick, _ in symbols])


def _far_apart(score: Score, ticks: Sequence[int]) -> bool:
    """Whether ticks are typically as far apart as sections begin."""
    apart = np.diff(ticks) if len(ticks) > 1 else np.array([score.last_tick])
    return float(np.median(apart)) / max(meter_at(score, 0).bar_ticks, 1) >= _SECTION_BARS


def _distinct(symbols: Sequence[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """The symbols by tick, each once."""
    return tuple(sorted(dict.fromkeys(symbols), key=lambda s: s[0]))
