"""Where a melody needs notes: the gaps within it and the open end, each with the reason."""

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
#: one: of the validation tunes 2 in 100 whole ones fall short, and 91 in 100 that are cut in mid-phrase.
FINISHED = 0.01
FINISHED_STABLE = 0.005
#: Events that the model hears before it judges an end, and before it writes.
JUDGE_MEMORY = 24
WRITE_MEMORY = 64
#: Long rests in a melody up to which, in auto mode, one of them may be a hole.
MOST_HOLES = 6
#: Bars of a phrase: an open end is led to a multiple of these.
PHRASE_BARS = 4
#: Bars before the goal from which on the model knows it.
GOAL_BARS = 2
#: Tonic triad above the tonic, in order of rest: tonic, fifth, third.
_TRIAD = {False: (0, 7, 4), True: (0, 7, 3)}


@dataclass(frozen=True)
class Spot:
    """Notes to be written in [start, stop) units after note `after` of the line.

    `goal` is the pitch token and start of the note after the spot: one that is there (a gap), or the last
    note to be written, which then lasts until `stop` (an open end).
    """

    line: Line
    after: int
    start: int
    stop: int
    goal: tuple[int, int]
    is_gap: bool

    @property
    def goal_from(self) -> int:
        """Unit from which on the model is told the goal."""
        return self.goal[1] - GOAL_BARS * self.line.setting.bar


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
    return likelihood >= (FINISHED_STABLE if step in _TRIAD[minor] else FINISHED)


def is_finished(line: Line, note: int, likelihood: float) -> bool:
    """Whether the phrase that ends with note `note` of the line sounds finished."""
    step = (int(line.pitch[note]) - line.setting.tonic_pitch) % 12
    return sounds_finished(step, line.setting.minor, likelihood)


def gap_spots(line: Line, least_bars: float, most_bars: float) -> tuple[list[Spot], list[Spot]]:
    """The gaps of a line from `least_bars` to `most_bars`, and those that are longer."""
    bar = line.setting.bar
    fits, longer = [], []
    # Silence is measured from the written end, which may come up to a beat after the sounding one.
    for i in silences(line, int(least_bars * bar) - line.beat).tolist():
        start, stop = line.written_end(i), int(line.onset[i + 1])
        if stop - start < max(least_bars * bar - line.beat / 2, 1):
            continue
        goal = line.setting.token(int(line.pitch[i + 1])), stop
        spot = Spot(line, i, start, stop, goal, is_gap=True)
        (fits if stop - start <= most_bars * bar else longer).append(spot)
    return fits, longer


def continuation_stop(line: Line, start: int, bars: int, to_phrase: bool) -> int:
    """Unit at which a continuation from `start` ends: a bar line about `bars` later, or, `to_phrase`, the
    end of the four-bar phrase where that comes sooner (at least one bar later).
    """
    bar, origin = line.setting.bar, line.setting.origin
    stop = origin + ceil((start - origin + (bars - 0.5) * bar) / bar) * bar
    if to_phrase:
        phrase = PHRASE_BARS * bar
        stop = min(stop, origin + ceil((start - origin + bar) / phrase) * phrase)
    return stop


def last_note(line: Line, start: int, stop: int, lowest: int, highest: int) -> tuple[int, int]:
    """Pitch token and start of the note that closes a continuation of [start, stop).

    The tonic (else the fifth, the third) nearest to where the melody has been, on the last bar's first beat
    or, where the melody moves quickly and the bar has two halves, in its middle.
    """
    bar, setting = line.setting.bar, line.setting
    recent = line.pitch[-16:]
    centre = float(recent.mean())
    pitch = min(max(int(recent[-1]), lowest), highest)
    for step in _TRIAD[setting.minor]:
        found = [
            p
            for p in range(lowest, highest + 1)
            if (p - setting.tonic_pitch) % 12 == step and abs(p - setting.tonic_pitch) <= CENTRE
        ]
        if found:
            pitch = min(found, key=lambda p: (abs(p - centre), p))
            break
    at = stop - bar
    quick = len(line) > 2 and float(np.median(np.diff(line.onset[-17:]))) < line.beat
    if bar % 2 == 0 and (bar // 2) % line.beat == 0 and (quick or at <= start):
        at += bar // 2
    return setting.token(pitch), max(at, start)


def open_end(line: Line, bars: int, to_phrase: bool, lowest: int, highest: int) -> Spot | None:
    """The spot after the last note, or None where the meter changes before anything fits."""
    after = len(line) - 1
    start = line.written_end(after)
    stop = continuation_stop(line, start, bars, to_phrase)
    if line.stop_tick is not None:
        bar = line.setting.bar
        room = (line.stop_tick - line.meter.tick) // TICKS_PER_UNIT
        stop = min(stop, line.setting.origin + (room - line.setting.origin) // bar * bar)
    if stop <= start:
        return None
    return Spot(line, after, start, stop, last_note(line, start, stop, lowest, highest), is_gap=False)
