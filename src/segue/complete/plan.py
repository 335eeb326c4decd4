"""Where a melody needs notes: the gaps within it, its open end, and the phrase that this end belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from segue.complete.encoding import CENTRE, TICKS_PER_UNIT, Events
from segue.complete.line import Line, silences
from segue.complete.sampler import Walker
from segue.runtime import Model

#: Likelihood of an end (as the model gives it after a note) from which a phrase counts as finished, and the
#: same for a note of the tonic triad. An end is rare among notes, so a few in a hundred already speak for
#: one: of the validation melodies 5 in 100 whole ones fall short, and 92 in 100 that are cut in mid-phrase.
FINISHED = 0.02
FINISHED_STABLE = 0.01
#: Events that the model hears before it judges an end.
JUDGE_MEMORY = 24
#: Long rests in a melody up to which, in auto mode, one of them may be a hole.
MOST_HOLES = 6
#: Bars of a phrase where the melody does not speak for another length.
PHRASE_BARS = 4
#: Lengths of a phrase, in bars, that a melody may speak for.
_PHRASES = (3, 4, 5, 6)
#: Bars before the end that phrases are looked for in, and phrases of a length that must be there.
_PHRASE_PAST = 32
_LEAST_PHRASES = 3
#: By how much the ends of another length must be likelier than those of four bars (log odds).
_CLEARLY = 1.5
#: Tonic triad above the tonic, in order of rest: tonic, fifth, third.
TRIAD = {False: (0, 7, 4), True: (0, 7, 3)}

#: Why a region is left: nothing is known of its meter.
NO_CONTEXT = "the melody has too few notes in the meter of the region to tell how it goes on"
GAP, REGION, VARIED, OPEN_END = "gap", "region", "varied", "open end"


@dataclass(frozen=True)
class Spot:
    """Notes to be written in [start, stop) units of a melody's line `line` (its index).

    Those that begin in [start, last) make room. `why` is one of the words above.
    """

    line: int
    start: int
    stop: int
    last: int
    why: str


@dataclass(frozen=True)
class Phrase:
    """Phrases of `bars` bars from `offset` bars after the first full one on; `heard` or taken for granted."""

    bars: int
    offset: int
    heard: bool


USUAL_PHRASE = Phrase(PHRASE_BARS, 0, heard=False)


def end_likelihoods(model: Model, line: Line, events: Events, notes: list[int]) -> list[float]:
    """How likely each of the `notes` (rising indices) of the line ends a section, 0..1, from what came
    before.
    """
    walker = Walker(model, line.setting, events, JUDGE_MEMORY)
    found = []
    for note in notes:
        end = line.written_end(note)
        walker.follow(int(np.searchsorted(events.start, line.onset[note], "right")), end)
        found.append(walker.end_likelihood(end))
    return found


def sounds_finished(step: int, minor: bool, likelihood: float) -> bool:
    """Whether a phrase that ends `step` semitones (0..11) above the tonic sounds finished.

    `likelihood` as in `end_likelihoods`; a note of the tonic triad needs less of it than another one.
    """
    return likelihood >= (FINISHED_STABLE if step in TRIAD[minor] else FINISHED)


def is_finished(line: Line, note: int, likelihood: float) -> bool:
    """Whether the phrase that ends with note `note` of the line sounds finished."""
    step = (int(line.pitch[note]) - line.setting.tonic_pitch) % 12
    return sounds_finished(step, line.setting.minor, likelihood)


def gap_places(
    line: Line, least_bars: float, most_bars: float
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The gaps of a line from `least_bars` to `most_bars`, (start, stop) in units, and the longer ones."""
    bar = line.setting.bar
    fits, longer = [], []
    # Silence is measured from the written end, which may come up to a beat after the sounding one.
    for i in silences(line, int(least_bars * bar) - line.beat).tolist():
        start, stop = line.written_end(i), int(line.onset[i + 1])
        if stop - start < max(least_bars * bar - line.beat / 2, 1):
            continue
        (fits if stop - start <= most_bars * bar else longer).append((start, stop))
    return fits, longer


def phrase_of(model: Model, line: Line, events: Events) -> Phrase:
    """The length of the line's phrases and where they begin.

    Each bar line of the last `_PHRASE_PAST` bars is judged by the model: how likely the music before it ends
    there. Four bars from the first full bar on are taken for granted; another length or place must have ends
    that are clearly likelier, against the other bar lines, than those of four bars are.
    """
    setting = line.setting
    last = (line.written_end(len(line) - 1) - setting.origin) // setting.bar
    bars = np.arange(max(last - _PHRASE_PAST, 0) + 1, last + 1)
    notes = np.array([line.note_before(setting.origin + b * setting.bar) for b in bars.tolist()], np.int64)
    bars, notes = bars[notes >= 0], notes[notes >= 0]
    if not len(bars):
        return USUAL_PHRASE
    known, which = np.unique(notes, return_inverse=True)
    ends = np.clip(end_likelihoods(model, line, events, known.tolist()), 1e-4, 1 - 1e-4)
    odds = np.log(ends / (1 - ends))[which]
    usual = _contrast(bars, odds, PHRASE_BARS, 0)
    best, found = max(usual, 0.0) + _CLEARLY, USUAL_PHRASE
    for length in _PHRASES:
        for offset in range(length):
            contrast = _contrast(bars, odds, length, offset)
            if contrast > best:
                best, found = contrast, Phrase(length, offset, heard=True)
    return found


def _contrast(bars: np.ndarray, odds: np.ndarray, length: int, offset: int) -> float:
    """By how much ends are likelier at the phrase ends than at other bar lines; -inf with too few of them."""
    at = (bars - offset) % length == 0
    if at.sum() < _LEAST_PHRASES or at.all():
        return -np.inf
    # The least likely of the ends counts as much as their mean: a phrase has an end each time.
    return float((odds[at].mean() + odds[at].min()) / 2 - odds[~at].mean())


def phrase_end(line: Line, start: int, phrase: Phrase) -> int:
    """Unit of the first phrase end at least one bar after `start`."""
    bar, length = line.setting.bar, phrase.bars * line.setting.bar
    origin = line.setting.origin + phrase.offset * bar
    return origin + ceil((start - origin + bar) / length) * length


def bars_end(line: Line, start: int, bars: int) -> int:
    """Unit of the bar line about `bars` bars after `start`."""
    bar, origin = line.setting.bar, line.setting.origin
    return origin + ceil((start - origin + (bars - 0.5) * bar) / bar) * bar


def closings(line: Line, start: int, stop: int, lowest: int, highest: int) -> list[tuple[int, int]]:
    """Notes that may close new music in [start, stop): pitch token and start of each, the usual one first.

    The tonic (else the fifth, the third) nearest to where the melody has been, on the last bar's first beat
    or, where the melody moves quickly, or less than half a bar is left before, and the bar has two halves, in
    its middle; then the same note at the other of these places, and on the last beat.
    """
    bar, setting = line.setting.bar, line.setting
    before = line.note_before(start) + 1
    recent = line.pitch[max(before - 16, 0) : before] if before else line.pitch[:16]
    centre = float(recent.mean())
    pitch = min(max(int(recent[-1]), lowest), highest)
    for step in TRIAD[setting.minor]:
        found = [
            p
            for p in range(lowest, highest + 1)
            if (p - setting.tonic_pitch) % 12 == step and abs(p - setting.tonic_pitch) <= CENTRE
        ]
        if found:
            pitch = min(found, key=lambda p: (abs(p - centre), p))
            break
    places = [stop - bar]
    onsets = line.onset[max(before - 17, 0) : before]
    quick = len(onsets) > 2 and float(np.median(np.diff(onsets))) < line.beat
    if bar % 2 == 0 and (bar // 2) % line.beat == 0:
        hurried = stop - bar - start < bar // 2
        places.insert(0 if quick or hurried else 1, stop - bar // 2)
    places.append(stop - line.beat)
    open_places = [at for at in dict.fromkeys(places) if at > start] or [start]
    return [(setting.token(pitch), at) for at in open_places]


def room_end(line: Line, stop: int) -> int:
    """`stop`, or the last full bar line before the meter changes."""
    if line.stop_tick is None:
        return stop
    bar, origin = line.setting.bar, line.setting.origin
    room = (line.stop_tick - line.meter.tick) // TICKS_PER_UNIT
    return min(stop, origin + (room - origin) // bar * bar)
