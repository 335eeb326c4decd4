"""Manners of playing voicings: which voice sounds from when to when, in the piece's own meter.

Conventions
-----------
- A *strike* is (onset tick, end tick, MIDI pitch, accent); accented strikes are played at the full velocity,
  the others a little softer.
- Voicings are ascending, the bass first (`voicing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from segue.beats import Grid
from segue.harmonize.voicing import Span
from segue.score import Score, make_notes, meter_index, meters_from_zero

#: How much softer a strike without an accent is (MIDI velocity).
_SOFTER = 8
#: Lowest pitch of a bass that is played by itself, E2; it lies within the octave above.
_LOWEST_BASS = 40

Strike = tuple[int, int, int, bool]


@dataclass(frozen=True)
class Pulse:
    """The beats that a style plays in, arrays of shape (beats,) but for `ticks`, (beats + 1,).

    `number` is the beat's number in its bar, `count` the beats of that bar, `parts` into how many equal parts
    the meter divides the beat: 2, or 3 in compound meters.
    """

    ticks: np.ndarray
    number: np.ndarray
    count: np.ndarray
    parts: np.ndarray

    @property
    def bars(self) -> np.ndarray:
        """The ticks at which bars begin."""
        return self.ticks[:-1][self.number == 0]

    @property
    def strong(self) -> np.ndarray:
        """Which beats carry a bass: every other one, and an odd bar of five or more begins with three."""
        odd = (self.count % 2 == 1) & (self.count > 1)
        return (self.number == 0) | np.where(
            odd, (self.number > 2) & (self.number % 2 == 1), self.number % 2 == 0
        )

    def cut(self, span: Span) -> list[tuple[int, int, int]]:
        """The span beat by beat: (start tick, end tick, index of the beat)."""
        first = max(int(np.searchsorted(self.ticks, span.start, "right")) - 1, 0)
        last = min(int(np.searchsorted(self.ticks, span.end, "left")), len(self.number))
        pieces = []
        for i in range(first, last):
            start = max(int(self.ticks[i]), span.start)
            end = span.end if i == last - 1 else int(self.ticks[i + 1])
            pieces.append((start, end, i))
        return pieces


def pulse_of(score: Score, grid: Grid) -> Pulse:
    """The pulse of a score whose felt beats are `grid`."""
    meters = meters_from_zero(score)
    # The felt beat of a compound meter is three of its units.
    compound = np.array([m.beat_ticks * m.numerator > m.bar_ticks for m in meters])
    parts = np.where(compound[meter_index(score, grid.ticks[:-1])], 3, 2)
    return Pulse(grid.ticks, grid.number, grid.count, parts)


def block(spans: Sequence[Span], voicings: Sequence[np.ndarray], pulse: Pulse) -> Iterator[Strike]:
    """Each chord is held, and struck again at every bar line."""
    for start, end, voicing in _struck(spans, voicings, pulse.bars):
        yield from ((start, end, pitch, True) for pitch in voicing)


def beats(spans: Sequence[Span], voicings: Sequence[np.ndarray], pulse: Pulse) -> Iterator[Strike]:
    """Chords on every beat, short, the first of the bar accented."""
    bars = set(pulse.bars.tolist())
    for start, end, voicing in _struck(spans, voicings, pulse.ticks):
        stop = start + max((end - start) * 3 // 4, 1)
        yield from ((start, stop, pitch, start in bars) for pitch in voicing)


def arpeggio(spans: Sequence[Span], voicings: Sequence[np.ndarray], pulse: Pulse) -> Iterator[Strike]:
    """Chords broken upwards and down again in the parts of the beat; the bass begins every bar and chord.

    Upper voices ring to the end of the beat, the bass to the next bass.
    """
    bars = set(pulse.bars.tolist())
    for start, end, (bass, *upper) in _struck(spans, voicings, pulse.bars):
        yield start, end, bass, start in bars
        wave = [*upper, *upper[-2:0:-1]]
        step = 0
        for first, last, i in pulse.cut(Span(spans[0].chord, start, end)):
            for tick in _divided(pulse, i):
                if start < tick < last and tick >= first:
                    yield tick, last, wave[step % len(wave)], False
                    step += 1


def pad(spans: Sequence[Span], voicings: Sequence[np.ndarray], pulse: Pulse) -> Iterator[Strike]:
    """Every voice is held for as long as the chords have its pitch, over bar lines and chord changes."""
    held: dict[int, int] = {}
    end = None
    for span, voicing in zip(spans, voicings, strict=True):
        wanted = voicing.tolist() if span.start == end else []
        for pitch in [p for p in held if p not in wanted]:
            yield held.pop(pitch), end, pitch, True
        held |= {p: span.start for p in voicing.tolist() if p not in held}
        end = span.end
    yield from ((start, end, pitch, True) for pitch, start in held.items())


def bass_and_chords(spans: Sequence[Span], voicings: Sequence[np.ndarray], pulse: Pulse) -> Iterator[Strike]:
    """A bass on the strong beats and chords on the weak ones; in compound meters within each beat.

    The bass takes turns between the chord's own bass and its fifth, as in a two-beat.
    """
    strong = pulse.strong
    for span, voicing in zip(spans, voicings, strict=True):
        low = _LOWEST_BASS + (int(voicing[0]) - _LOWEST_BASS) % 12
        turns = [low, _alternate(span, low)]
        played = 0
        for start, end, i in pulse.cut(span):
            compound = pulse.parts[i] == 3
            downbeat = pulse.number[i] == 0
            on_bass = start == span.start or compound or strong[i]
            if downbeat:
                played = 0
            if not on_bass:
                stop = start + max((end - start) * 3 // 4, 1)
                yield from ((start, stop, pitch, False) for pitch in voicing[1:].tolist())
                continue
            yield start, end, turns[played % 2], bool(downbeat)
            played += 1
            if compound:
                ticks = [t for t in _divided(pulse, i)[1:] if start < t < end]
                for first, last in pairwise([*ticks, end]):
                    stop = first + max((last - first) * 3 // 4, 1)
                    yield from ((first, stop, pitch, False) for pitch in voicing[1:].tolist())


_PLAYERS: dict[str, Callable[[Sequence[Span], Sequence[np.ndarray], Pulse], Iterator[Strike]]] = {
    "block": block,
    "beats": beats,
    "arpeggio": arpeggio,
    "pad": pad,
    "bass+chords": bass_and_chords,
}


def play(
    style: str, spans: Sequence[Span], voicings: Sequence[np.ndarray], pulse: Pulse, velocity: int
) -> np.ndarray:
    """The notes of one chord track, a sorted NOTE array."""
    return notes_of(list(_PLAYERS[style](spans, voicings, pulse)), velocity)


def notes_of(strikes: Sequence[Strike], velocity: int) -> np.ndarray:
    """Strikes as a sorted NOTE array."""
    onset, end, pitch, accent = zip(*strikes, strict=True) if strikes else ((),) * 4
    loudness = np.where(accent, velocity, max(velocity - _SOFTER, 1))
    return make_notes(onset, np.subtract(end, onset), pitch, loudness)


def _struck(
    spans: Sequence[Span], voicings: Sequence[np.ndarray], again: np.ndarray
) -> Iterator[tuple[int, int, list[int]]]:
    """(start, end, pitches) of each chord, struck at its start and at the ticks `again` within it."""
    for span, voicing in zip(spans, voicings, strict=True):
        low, high = np.searchsorted(again, [span.start + 1, span.end])
        for start, end in pairwise([span.start, *again[low:high].tolist(), span.end]):
            yield start, end, voicing.tolist()


def _divided(pulse: Pulse, beat: int) -> list[int]:
    """The ticks of the parts of a beat; a beat that is cut short has only those that its length has."""
    start, end = int(pulse.ticks[beat]), int(pulse.ticks[beat + 1])
    parts = int(pulse.parts[beat])
    return [start + (end - start) * k // parts for k in range(parts)]


def _alternate(span: Span, low: int) -> int:
    """The fifth of the chord next to a bass at `low`, or `low` itself where there is none to take."""
    chord = span.chord
    if chord.bass != chord.root or (chord.root + 7) % 12 not in chord.pitch_classes:
        return low
    return low - 5 if low - 5 >= _LOWEST_BASS else low + 7
