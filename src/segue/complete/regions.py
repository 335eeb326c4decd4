"""The parts of a melody that are written anew: those between markers, and those that `vary` chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from segue.complete.encoding import TICKS_PER_UNIT, snap
from segue.complete.line import Line
from segue.complete.plan import NO_CONTEXT, REGION, VARIED, Spot
from segue.score import Score, Text

BEGIN, END = "segue:infill", "segue:end"
#: What every marker that is meant for this stage begins with.
_OURS = "segue:"


@dataclass(frozen=True)
class Region:
    """What two markers mark, in ticks; `stop` is None where no marker ends it. `markers` are the texts."""

    start: int
    stop: int | None
    markers: tuple[Text, ...]


def marked_regions(score: Score) -> tuple[list[Region], list[dict[str, Any]]]:
    """The regions between the markers `segue:infill` and `segue:end`, and what is wrong with the others."""
    regions: list[Region] = []
    wrong: list[dict[str, Any]] = []
    begun: Text | None = None
    words = [(text, _word(text)) for text in score.markers()]
    ours = sorted(((t, w) for t, w in words if w), key=lambda mark: mark[0].tick)
    for _, together in groupby(ours, key=lambda mark: mark[0].tick):
        # At one tick a region that has begun ends before the next one begins; else what begins comes first.
        for text, word in sorted(together, key=lambda mark: (mark[1] == BEGIN) == (begun is not None)):
            reason = ""
            if word not in (BEGIN, END):
                reason = f"the marker {text.text.strip()!r} is unknown; there are {BEGIN} and {END}"
            elif word == BEGIN and begun is not None:
                reason = f"a second {BEGIN} before the {END} of the first one, which holds"
            elif word == BEGIN:
                begun = text
            elif begun is None:
                reason = f"{END} without a {BEGIN} before it"
            else:
                if text.tick > begun.tick:
                    regions.append(Region(begun.tick, text.tick, (begun, text)))
                else:
                    reason = f"the region is empty: its {END} stands where it begins"
                begun = None
            if reason:
                wrong.append({"at_tick": text.tick, "reason": reason})
    if begun is not None:
        regions.append(Region(begun.tick, None, (begun,)))
    return regions, wrong


def _word(text: Text) -> str:
    """A marker without case and blanks if it is, or wants to be, one of ours; else empty."""
    word = "".join(text.text.lower().split())
    return word if word.startswith(_OURS) else ""


def region_spot(lines: Sequence[Line], region: Region, melody_end: int) -> tuple[Spot | None, str]:
    """The spot of a marked region in one of the melody's lines, or None and why there is none.

    `melody_end` is the tick at which the melody ends; a region without an end goes on until there.
    """
    stop_tick = melody_end if region.stop is None else region.stop
    if region.start >= stop_tick:
        return None, "the region begins where the melody has ended; mark its end, or use mode: continue"
    for i, line in enumerate(lines):
        ends = line.stop_tick
        if region.start < line.meter.tick or (ends is not None and region.start >= ends):
            continue
        if ends is not None and stop_tick > ends:
            return None, "the meter changes within the region; mark the parts before and after one by one"
        start, stop = (
            int(u) for u in snap(np.array([region.start, stop_tick]) / TICKS_PER_UNIT - _unit(line))
        )
        if stop - start < 2:
            return None, "the region is shorter than a sixteenth triplet"
        return Spot(i, start, stop, stop, REGION), ""
    return None, NO_CONTEXT


def _unit(line: Line) -> float:
    return line.meter.tick / TICKS_PER_UNIT


def varied_spots(lines: Sequence[Line], share: float, rng: np.random.Generator) -> list[Spot]:
    """Bars and half phrases (two bars) that are written anew: about `share` of the melody's notes.

    The first and the last note of the melody are never among them, nor bars without a note.
    """
    total = sum(len(line) - line.own for line in lines)
    parts = [part for i, line in enumerate(lines) for part in _bars(lines, i, line)]
    units = _halves_or_bars(lines, parts, rng)
    weight = [sum(_notes_in(lines[s.line], s) for s in unit) for unit in units]
    wanted = share * total
    chosen: list[Spot] = []
    held = 0
    for u in rng.permutation(len(units)).tolist():
        if not chosen or abs(held + weight[u] - wanted) <= abs(held - wanted):
            chosen.append(_joined(units[u]))
            held += weight[u]
    return sorted(chosen, key=lambda s: (s.line, s.start))


def _bars(lines: Sequence[Line], index: int, line: Line) -> list[Spot]:
    """The bars of a line's own notes that may be written anew, as spots."""
    bar, origin = line.setting.bar, line.setting.origin
    first, last = line.own, len(line) - 1
    begin = int(line.onset[first])
    # The first note of the melody stays, and so does its last one.
    if index == 0 and first == 0:
        begin = line.written_end(first) if last == first else min(line.written_end(first), int(line.onset[1]))
    end = line.written_end(last)
    if index == len(lines) - 1:
        end = int(line.onset[last])
    found = []
    for number in range((begin - origin) // bar, (end - 1 - origin) // bar + 1):
        start, stop = max(origin + number * bar, begin), min(origin + (number + 1) * bar, end)
        spot = Spot(index, start, stop, stop, VARIED)
        if stop - start >= max(bar // 4, 2) and _notes_in(line, spot):
            found.append(spot)
    return found


def _notes_in(line: Line, spot: Spot) -> int:
    return int(((line.onset >= spot.start) & (line.onset < spot.last)).sum())


def _halves_or_bars(lines: Sequence[Line], bars: list[Spot], rng: np.random.Generator) -> list[list[Spot]]:
    """The bars in units of one, or of two that are neighbours and begin a half phrase, by chance."""
    units: list[list[Spot]] = []
    together = rng.random(len(bars)) < 0.5
    i = 0
    while i < len(bars):
        setting = lines[bars[i].line].setting
        pair = i + 1 < len(bars) and bars[i + 1].line == bars[i].line and bars[i + 1].start == bars[i].stop
        begins = (bars[i].start - setting.origin) // setting.bar % 2 == 0
        count = 2 if pair and begins and together[i] else 1
        units.append(bars[i : i + count])
        i += count
    return units


def _joined(unit: list[Spot]) -> Spot:
    return Spot(unit[0].line, unit[0].start, unit[-1].stop, unit[-1].last, VARIED)


def without_markers(score: Score, regions: list[Region]) -> tuple[Text, ...]:
    """The score's texts without the markers of these regions."""
    used = [text for region in regions for text in region.markers]
    kept = list(score.texts)
    for text in used:
        kept.remove(text)
    return tuple(kept)


def has_markers(score: Score) -> bool:
    """Whether any marker is one of ours, in its place or not."""
    return any(_word(text) for text in score.markers())
