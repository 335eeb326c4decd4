"""Places in validation tunes where a continuation or a fill is judged, and the tokens that stand there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from segue.complete.encoding import REST, Tracker
from training.melody.data import Example

Pairs = list[tuple[int, int]]
CANDIDATES = 50
CONTINUATION_BARS = 4
CONTEXT_BARS = 8
GAP_BARS = 2


def pairs(example: Example, start: int = 0, stop: int | None = None) -> Pairs:
    """Pitch and duration tokens of the events [start, stop)."""
    events = example.events
    return list(zip(events.pitch[start:stop].tolist(), events.duration[start:stop].tolist(), strict=True))


def is_note(example: Example) -> np.ndarray:
    """Which events are notes."""
    return example.events.pitch != REST


@dataclass(frozen=True)
class Cut:
    """A place in a tune: the events [first, last) fill `bars` bars from unit `start`, a bar line."""

    example: Example
    first: int
    last: int
    start: int


def cuts(example: Example, bars: int, before: int, least: int = 6) -> list[Cut]:
    """All bar lines of a tune where an event begins, with `before` bars of tune before and `bars` full ones
    after.
    """
    events, setting = example.events, example.setting
    end = int(events.start[-1] + events.length[-1])
    found = []
    for start in range(setting.origin + before * setting.bar, end - bars * setting.bar + 1, setting.bar):
        first, last = np.searchsorted(events.start, [start, start + bars * setting.bar])
        if last <= first or events.start[first] != start:
            continue
        if int((events.pitch[first:last] != REST).sum()) >= least:
            found.append(Cut(example, int(first), int(last), start))
    return found


def draw_queries(examples: list[Example], count: int, seed: int) -> list[list[Cut]]:
    """Lists of `CANDIDATES` cuts, the true one first, the others of other tunes in the same meter."""
    rng = np.random.default_rng(seed)
    by_meter: dict[tuple[int, int], list[list[Cut]]] = defaultdict(list)
    for example in examples:
        found = cuts(example, CONTINUATION_BARS, CONTEXT_BARS)
        if found:
            by_meter[example.setting.meter].append(found)
    usable = [
        (m, i)
        for m, all_cuts in sorted(by_meter.items())
        for i in range(len(all_cuts))
        if len(all_cuts) >= CANDIDATES
    ]
    queries = []
    for k in rng.permutation(len(usable))[:count]:
        meter, own = usable[k]
        tunes = by_meter[meter]
        truth = tunes[own][rng.integers(len(tunes[own]))]
        others = rng.permutation([i for i in range(len(tunes)) if i != own])[: CANDIDATES - 1]
        queries.append([truth, *(tunes[i][rng.integers(len(tunes[i]))] for i in others)])
    return queries


def tracked(example: Example, stop: int) -> Tracker:
    """A tracker that has followed the first `stop` events."""
    tracker = Tracker(example.setting)
    for start, (pitch, duration) in zip(
        example.events.start[:stop].tolist(), pairs(example, 0, stop), strict=True
    ):
        tracker.push(start, pitch, duration)
    return tracker


def shifted(cut: Cut, start: int) -> tuple[list[int], Pairs]:
    """Starts and tokens of a cut as if it began at `start`."""
    events = cut.example.events.start[cut.first : cut.last]
    return (events - cut.start + start).tolist(), pairs(cut.example, cut.first, cut.last)


def closes_on_note(cut: Cut) -> bool:
    """Whether a note begins right where the cut ends."""
    events = cut.example.events
    stop = cut.start + GAP_BARS * cut.example.setting.bar
    return (
        cut.last < len(events) and int(events.start[cut.last]) == stop and int(events.pitch[cut.last]) != REST
    )
