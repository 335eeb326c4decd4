"""Tunes as the network learns them: rows of a continuation, and of gaps whose surroundings are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from segue.complete.book import Book
from segue.complete.encoding import (
    REST,
    Chords,
    Events,
    Setting,
    events_from_notes,
    first_bar,
    reference_tonic,
)
from segue.complete.features import COLUMN, READING
from segue.complete.tracker import Tracker, encode
from training.melody.data import cached, load_tunes
from training.melody.tune import Tune

#: Raised whenever the encoding changes, so that a stale cache is not used.
CACHE_VERSION = 9
#: Ways in which the gaps of a training tune are drawn.
GAP_VARIANTS = 3
#: Keys in which solos are learned beside their own; what a soloist plays is at home in all of them.
MOVED = {"weimar-jazz": 4}
#: Shares of the stretches of a tune that are told nothing of what comes, and the next note alone; the others
#: are told all of it.
FREE, GOAL = 0.3, 0.15
#: Lengths of half of the stretches in bars; the others have a number of events.
_BARS = (1, 2, 2, 4, 4, 8)


@dataclass(frozen=True)
class Gaps:
    """Rows (events + 1, features) int16 of a tune in stretches, and for each row the event from which on the
    music ahead is known, int32 (events + 1,), -1 where nothing is.
    """

    rows: np.ndarray
    ahead: np.ndarray


@dataclass(frozen=True)
class Example:
    """One tune, encoded. `rows` (events + 1, features) int16 know the past alone; `end` marks events that end
    a section.
    """

    name: str
    corpus: str
    setting: Setting
    events: Events
    rows: np.ndarray
    end: np.ndarray
    gaps: tuple[Gaps, ...]
    #: The same tune as if it were in other keys, for training.
    moved: tuple[Example, ...] = ()


def stretches(events: Events, bar: int, rng: np.random.Generator) -> list[tuple[int, int, str]]:
    """Stretches [first, last) of events, each before a note, and what is known: "free", "goal" or "ahead"."""
    notes = np.flatnonzero(events.pitch != REST)
    found = []
    at = 0
    while True:
        if rng.random() < 0.5:
            least = at + min(1 + rng.geometric(0.1), 40)
        else:
            least = int(np.searchsorted(events.start, events.start[at] + bar * rng.choice(_BARS)))
        later = notes[notes >= max(least, at + 1)]
        draw = rng.random()
        if not len(later):
            found.append((at, len(events), "free"))
            return found
        kind = "free" if draw < FREE else "goal" if draw < FREE + GOAL else "ahead"
        found.append((at, int(later[0]), kind))
        at = int(later[0])


def encode_gaps(events: Events, setting: Setting, found: list[tuple[int, int, str]]) -> Gaps:
    """Rows of a tune in `stretches`."""
    tracker, book = Tracker(setting), Book(events)
    starts, pitches, durations = (c.tolist() for c in (events.start, events.pitch, events.duration))
    rows = []
    ahead = np.full(found[-1][1] + 1, -1, np.int32)
    for first, last, kind in found:
        goal = (pitches[last], starts[last]) if kind != "free" else None
        tracker.look_ahead(book if kind == "ahead" else None, last)
        if kind == "ahead":
            ahead[first:last] = last
        for i in range(first, last):
            rows.append(tracker.row(starts[i], goal))
            tracker.push(starts[i], pitches[i], durations[i])
    tracker.look_ahead(None)
    rows.append(tracker.row(starts[last - 1] + int(events.length[last - 1])))
    return Gaps(np.array(rows, np.int16), ahead)


_PLACE = [COLUMN[name] for name in READING[2:]]


def reading(rows: np.ndarray) -> np.ndarray:
    """What is read of each event, (events, len(READING)), in the order of the events; see
    `segue.complete.tracker.reading_rows`.
    """
    return np.concatenate([rows[1:, [COLUMN["event_pitch"], COLUMN["event_duration"]]], rows[:-1, _PLACE]], 1)


def encode_tune(tune: Tune, variants: int, seed: int) -> Example:
    """A clean tune, encoded; sections end where the notation says so or a bar of rest follows."""
    origin = first_bar(int(tune.onset[0]), tune.bar)
    chords = None
    if tune.chords:
        starts, labels = zip(*tune.chords, strict=True)
        chords = Chords.from_symbols(starts, labels, int(tune.onset[-1] + tune.duration[-1]) + 1)
    setting = Setting(
        reference_tonic(tune.tonic, tune.pitch), tune.mode == "minor", tune.meter, tune.style, origin, chords
    )
    events = events_from_notes(tune.onset, tune.duration, tune.pitch, setting)
    ends = np.isin(events.note, tune.section_end)
    rest_next = np.concatenate([events.note[1:] < 0, [False]])
    long_next = np.concatenate([events.length[1:] >= setting.bar, [False]])
    rng = np.random.default_rng(seed)
    drawn = [stretches(events, setting.bar, rng) for _ in range(variants)]
    return Example(
        tune.name,
        tune.corpus,
        setting,
        events,
        encode(events, setting),
        ends | (rest_next & long_next),
        tuple(encode_gaps(events, setting, found) for found in drawn),
    )


def moved_tune(tune: Tune, variants: int, seed: int) -> Example:
    """A training tune, encoded, with its copies in random other keys (`MOVED`)."""
    keys = 1 + np.random.default_rng(seed).permutation(11)[: MOVED.get(tune.corpus, 0)]
    copies = [replace(tune, tonic=(tune.tonic + key) % 12) for key in keys.tolist()]
    moved = tuple(encode_tune(copy, 1, seed) for copy in copies)
    return replace(encode_tune(tune, variants, seed), moved=moved)


def load(data: Path, cache: Path) -> tuple[list[Example], list[Example], dict]:
    """Training and validation examples and a summary, from `cache` where it holds the same data."""

    def make() -> tuple[list[Example], list[Example], dict]:
        train, valid, summary = load_tunes(data, cache)
        with get_context("spawn").Pool(2) as pool:
            jobs = ((tune, GAP_VARIANTS, i) for i, tune in enumerate(train))
            train = pool.starmap(moved_tune, jobs, chunksize=64)
            valid = pool.starmap(encode_tune, ((tune, 1, i) for i, tune in enumerate(valid)), chunksize=64)
        events = {
            "training_events": sum(len(e.events) for e in train),
            "validation_events": sum(len(e.events) for e in valid),
        }
        return train, valid, summary | events

    return cached(cache / f"examples-{CACHE_VERSION}.pickle", make)
