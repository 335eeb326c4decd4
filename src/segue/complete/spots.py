"""The places that a mode asks for, and what is told of those that stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.complete.draft import Melody, span, split_by_room
from segue.complete.encoding import TICKS_PER_UNIT
from segue.complete.plan import (
    GAP,
    MOST_HOLES,
    OPEN_END,
    PHRASE_BARS,
    USUAL_PHRASE,
    Phrase,
    Spot,
    bars_end,
    end_likelihoods,
    gap_places,
    is_finished,
    phrase_end,
    phrase_of,
    room_end,
)
from segue.complete.regions import (
    Region,
    has_markers,
    marked_regions,
    region_spot,
    varied_spots,
    without_markers,
)
from segue.runtime import Model
from segue.score import Score, Text, bar_starts
from segue.stage import Settings

Skipped = list[dict[str, Any]]


@dataclass(frozen=True)
class Plan:
    """Where to write: `spots` in every variation, or about a `share` of the melody that each chooses anew."""

    spots: tuple[Spot, ...] = ()
    share: float = 0.0
    regions: tuple[Region, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written."""
        return not self.spots and not self.share

    @property
    def markers(self) -> list[Text]:
        """The markers that are obeyed."""
        return [text for region in self.regions for text in region.markers]

    def spans(self, melody: Melody) -> list[tuple[int, int]]:
        """The ticks from and to which notes may be written."""
        lines = melody.lines
        if self.share:
            return [(int(lines[0].onset_tick[0]), melody.end_tick)]
        return [(lines[s.line].tick(s.start), lines[s.line].tick(s.stop)) for s in self.spots]

    def texts(self, score: Score) -> tuple[Text, ...]:
        """The score's texts without the markers that were obeyed."""
        return without_markers(score, list(self.regions))


def plan_spots(
    score: Score,
    melody: Melody,
    settings: Settings,
    model: Model,
    report: dict[str, Any],
) -> Plan:
    """Where to write; what is left as it is, and why, is told in the report."""
    mode, skipped = settings["mode"], report["skipped"]
    if mode == "vary":
        return _vary(melody, settings, skipped)
    if mode in ("auto", "infill") and has_markers(score):
        return _marked(score, melody, skipped)
    spots: list[Spot] = []
    if mode != "continue":
        spots += _gaps(melody, settings, skipped)
    if mode != "infill":
        end = _open_end(score, melody, settings, model, report)
        spots += [end] if end else []
    if mode == "auto":
        spots = _unfinished(melody, spots, model, skipped)
    return Plan(tuple(spots))


def _vary(melody: Melody, settings: Settings, skipped: Skipped) -> Plan:
    if settings["share"] == 0:
        skipped.append({"reason": "share is 0, so the melody stays as it is"})
        return Plan()
    if not varied_spots(melody.lines, settings["share"], np.random.default_rng(0)):
        skipped.append({"reason": "the melody has no bar between its first and its last note"})
        return Plan()
    return Plan(share=settings["share"])


def _marked(score: Score, melody: Melody, skipped: Skipped) -> Plan:
    """The marked regions, and nothing but them."""
    regions, wrong = marked_regions(score)
    skipped += wrong
    spots: dict[Spot, Region] = {}
    for region in regions:
        spot, reason = region_spot(melody.lines, region, melody.end_tick)
        if spot:
            spots[spot] = region
        else:
            skipped.append({"at_tick": region.start, "reason": reason})
    if sum(_left(melody, i, spots) for i in range(len(melody.lines))) < 2:
        skipped.append({"reason": "fewer than two notes of the melody are outside of the marked regions"})
        return Plan()
    fits, short = split_by_room(melody, list(spots))
    skipped += short
    return Plan(tuple(fits), regions=tuple(spots[s] for s in fits))


def _left(melody: Melody, index: int, spots: dict[Spot, Region]) -> int:
    """How many own notes of a line lie in none of the spots."""
    onset = melody.lines[index].onset[melody.lines[index].own :]
    inside = np.zeros(len(onset), bool)
    for spot in spots:
        if spot.line == index:
            inside |= (onset >= spot.start) & (onset < spot.last)
    return int((~inside).sum())


def _gaps(melody: Melody, settings: Settings, skipped: Skipped) -> list[Spot]:
    """The silences of the lengths that are to be filled; in auto mode none that is longer than a phrase, for
    what breaks off in mid-phrase does not go on after a long break of the others.
    """
    found: list[Spot] = []
    longest, name = settings["max_gap"], "max_gap"
    if settings["mode"] == "auto" and longest > PHRASE_BARS:
        longest, name = PHRASE_BARS, "a phrase"
    reason = f"the gap is longer than {name} ({longest:g} bars)"
    for i, line in enumerate(melody.lines):
        fits, longer = gap_places(line, settings["min_gap"], longest)
        found += [Spot(i, start, stop, start, GAP) for start, stop in fits]
        skipped += [{**span(line, start, stop), "reason": reason} for start, stop in longer]
    for line, later in zip(melody.lines, melody.lines[1:], strict=False):
        start, stop = line.written_end(len(line) - 1), int(later.onset_tick[later.own])
        silence = (stop - line.tick(start)) / line.meter.bar_ticks
        if later.own == 0 and silence >= settings["min_gap"]:
            reason = "the meter changes within the gap; mark the parts before and after one by one"
            skipped.append({"from_tick": int(line.tick(start)), "to_tick": stop, "reason": reason})
    if settings["mode"] == "infill" and not found and not skipped:
        skipped.append({"reason": f"no silence of {settings['min_gap']:g} bars in the melody"})
    return found


def _unfinished(melody: Melody, spots: list[Spot], model: Model, skipped: Skipped) -> list[Spot]:
    """The spots before which the melody breaks off.

    Where long rests are frequent they are the music's manner (one voice of many), and none of them is a hole.
    """
    chosen: list[Spot] = []
    gaps = [spot for spot in spots if spot.why == GAP]
    if len(gaps) > MOST_HOLES:
        spots = [spot for spot in spots if spot.why != GAP]
        reason = f"the melody has {len(gaps)} long rests, so many that they are meant"
        skipped.append({"reason": reason})
    for i, line in enumerate(melody.lines):
        own = [spot for spot in spots if spot.line == i]
        notes = [line.note_before(spot.start) for spot in own]
        for spot, note, likelihood in zip(
            own, notes, end_likelihoods(model, line, line.events, notes), strict=True
        ):
            if not is_finished(line, note, likelihood):
                chosen.append(spot)
                continue
            is_gap = spot.why == GAP
            where = span(line, spot.start, spot.stop) if is_gap else {"at_tick": int(line.tick(spot.start))}
            reason = f"{'the phrase before the rest' if is_gap else 'the last phrase'} is finished"
            skipped.append({**where, "reason": reason, "end_likelihood": round(likelihood, 3)})
    return chosen


def _open_end(
    score: Score, melody: Melody, settings: Settings, model: Model, report: dict[str, Any]
) -> Spot | None:
    """The place after the last note, unless too little is known there."""
    skipped: Skipped = report["skipped"]
    line = melody.lines[-1]
    notes = score.tracks[melody.index].notes
    if line.stop_tick is not None and int(notes["onset_tick"].max()) >= line.stop_tick:
        reason = "the melody ends with a single note after a change of meter, too little to go on from"
        skipped.append({"reason": reason})
        return None
    start = line.written_end(len(line) - 1)
    until = "phrase" if settings["mode"] == "auto" else settings["until"]
    if until == "total":
        there = _bars_so_far(score, melody, start)
        stop = line.setting.origin + settings["bars"] * line.setting.bar + _bars_before(score, melody)
        if stop <= start:
            reason = f"the melody has {there} bars already, and bars is {settings['bars']}"
            skipped.append({"at_tick": int(line.tick(start)), "reason": reason})
            return None
    else:
        stop = bars_end(line, start, settings["bars"])
    if until == "phrase":
        phrase = phrase_of(model, line, line.events) if settings["mode"] == "continue" else USUAL_PHRASE
        if settings["mode"] == "continue":
            report["phrase"] = _tell_phrase(phrase)
        stop = min(stop, phrase_end(line, start, phrase))
    stop = room_end(line, stop)
    if stop <= start:
        skipped.append({"reason": "the meter changes right after the last note"})
        return None
    return Spot(len(melody.lines) - 1, start, stop, start, OPEN_END)


def _tell_phrase(phrase: Phrase) -> dict[str, Any]:
    return {"bars": phrase.bars, "offset_bars": phrase.offset, "heard": phrase.heard}


def _bars_before(score: Score, melody: Melody) -> int:
    """Units by which the melody's first full bar lies before that of its last line, as a negative number."""
    first, last = melody.lines[0], melody.lines[-1]
    if last.onset_tick[0] <= first.onset_tick[0]:
        return 0
    starts = bar_starts(score)
    # Bar lines of the file, which a melody that stands beside the grid does not move.
    ends = [line.meter.tick + line.setting.origin * TICKS_PER_UNIT for line in (first, last)]
    begun, ended = np.searchsorted(starts, ends)
    return -int(ended - begun) * last.setting.bar


def _bars_so_far(score: Score, melody: Melody, start: int) -> int:
    """Full bars of the melody up to `start` (units of its last line), a begun one included."""
    line = melody.lines[-1]
    return -(-(start - line.setting.origin - _bars_before(score, melody)) // line.setting.bar)
