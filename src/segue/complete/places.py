"""Places in tunes where a continuation or a fill is judged, and the tokens that stand there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from segue.complete.encoding import REST, Events, Setting

Pairs = list[tuple[int, int]]
CANDIDATES = 50
CONTINUATION_BARS = 4
CONTEXT_BARS = 8
GAP_BARS = 2
#: Bars before a gap, and fewest notes in it.
_GAP_CONTEXT, _GAP_NOTES = 4, 4


class Tune(Protocol):
    """A melody: where it comes from, what holds for it, its events, and a row of features for each of them
    and for what follows the last one, (events + 1, features).
    """

    name: str
    corpus: str
    setting: Setting
    events: Events
    rows: np.ndarray


def pairs(tune: Tune, start: int = 0, stop: int | None = None) -> Pairs:
    """Pitch and duration tokens of the events [start, stop)."""
    events = tune.events
    return list(zip(events.pitch[start:stop].tolist(), events.duration[start:stop].tolist(), strict=True))


def is_note(tune: Tune) -> np.ndarray:
    """Which events are notes."""
    return tune.events.pitch != REST


@dataclass(frozen=True)
class Cut:
    """A place in a tune: the events [first, last) fill some bars from unit `start`, a bar line."""

    tune: Tune
    first: int
    last: int
    start: int


@dataclass(frozen=True)
class Query:
    """A place to be judged, and what might stand there: the truth first, then cuts of other tunes."""

    cut: Cut
    candidates: list[Cut]


def cuts(tune: Tune, bars: int, before: int, least: int = 6) -> list[Cut]:
    """All bar lines of a tune where an event begins, with `before` bars of tune before and `bars` full ones
    after.
    """
    events, setting = tune.events, tune.setting
    end = int(events.start[-1] + events.length[-1])
    found = []
    for start in range(setting.origin + before * setting.bar, end - bars * setting.bar + 1, setting.bar):
        first, last = np.searchsorted(events.start, [start, start + bars * setting.bar])
        if last <= first or events.start[first] != start:
            continue
        if int((events.pitch[first:last] != REST).sum()) >= least:
            found.append(Cut(tune, int(first), int(last), start))
    return found


def continuations(tune: Tune) -> list[Cut]:
    """The four bars after each bar line with eight bars before it."""
    return cuts(tune, CONTINUATION_BARS, CONTEXT_BARS)


def gaps(tune: Tune) -> list[Cut]:
    """Each two bars with four bars before them and a note right after."""
    return [cut for cut in cuts(tune, GAP_BARS, _GAP_CONTEXT, _GAP_NOTES) if closes_on_note(cut)]


def draw_queries(
    tunes: Sequence[Tune],
    find: Callable[[Tune], list[Cut]],
    count: int,
    seed: int,
    group: Callable[[str], str] = str,
    most: int = 5,
) -> list[Query]:
    """`count` places of each group of corpora, or as many as there are; at most `most` of one tune.

    Each has up to `CANDIDATES` candidates, the others one a tune in the same meter: of the same group while
    it has any, which is hardest, then of the others. Places without any other tune are left out.
    """
    rng = np.random.default_rng(seed)
    by_meter: dict[tuple[int, int], list[tuple[str, list[Cut]]]] = defaultdict(list)
    for tune in tunes:
        if found := find(tune):
            by_meter[tune.setting.meter].append((group(tune.corpus), found))
    places: dict[str, list[tuple[Cut, int]]] = defaultdict(list)
    for same in by_meter.values():
        for own, (name, found) in enumerate(same) if len(same) > 1 else ():
            chosen = sorted(rng.permutation(len(found))[:most].tolist())
            places[name] += [(found[i], own) for i in chosen]
    queries = []
    for name, found in sorted(places.items()):
        for k in sorted(rng.permutation(len(found))[:count].tolist()):
            cut, own = found[k]
            same = by_meter[cut.tune.setting.meter]
            order = [i for i in rng.permutation(len(same)).tolist() if i != own]
            order.sort(key=lambda i: same[i][0] != name)
            others = [same[i][1] for i in order[: CANDIDATES - 1]]
            queries.append(Query(cut, [cut, *(found[rng.integers(len(found))] for found in others)]))
    return queries


def before(cut: Cut, bars: int) -> Cut:
    """The bars before a place."""
    start = cut.start - bars * cut.tune.setting.bar
    return Cut(cut.tune, int(np.searchsorted(cut.tune.events.start, start)), cut.first, start)


def shifted(cut: Cut, start: int) -> tuple[list[int], Pairs]:
    """Starts and tokens of a cut as if it began at `start`."""
    events = cut.tune.events.start[cut.first : cut.last]
    return (events - cut.start + start).tolist(), pairs(cut.tune, cut.first, cut.last)


def closes_on_note(cut: Cut) -> bool:
    """Whether a note begins right where the two bars of the cut end."""
    events = cut.tune.events
    stop = cut.start + GAP_BARS * cut.tune.setting.bar
    return (
        cut.last < len(events) and int(events.start[cut.last]) == stop and int(events.pitch[cut.last]) != REST
    )
