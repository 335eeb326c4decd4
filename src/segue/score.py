"""The symbolic score: plain arrays and small value classes, and the arithmetic of musical time.

Conventions
-----------
- A *tick* is 1/960 of a quarter note in every score inside Segue (`TICKS_PER_QUARTER`).
- Positions are absolute ticks from the start of the piece; durations are ticks.
- Pitch and velocity are MIDI numbers (0..127; a sounding note has velocity 1..127).
- Notes of a track are sorted by onset, then pitch, then duration.
- Tempo is microseconds per quarter note, as in a MIDI file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

TICKS_PER_QUARTER = 960
DRUM_CHANNEL = 9
DEFAULT_TEMPO_US = 500_000

#: One note: onset and duration in ticks, MIDI pitch, MIDI velocity.
NOTE = np.dtype([("onset_tick", "<i4"), ("duration_tick", "<i4"), ("pitch", "u1"), ("velocity", "u1")])
#: One channel event that is not a note: MIDI status nibble (0xA0, 0xB0, 0xC0, 0xD0, 0xE0) and its data bytes.
CONTROL = np.dtype([("tick", "<i4"), ("status", "u1"), ("data1", "u1"), ("data2", "u1")])

#: Kinds of text events (MIDI meta types) that the stages read and write.
TEXT = 1
LYRIC = 5
MARKER = 6
CUE_POINT = 7
#: Events that one maker's programs understand; their bytes are held as text.
SEQUENCER_SPECIFIC = 0x7F

POLY_PRESSURE = 0xA0
CONTROL_CHANGE = 0xB0
PROGRAM_CHANGE = 0xC0
PITCH_BEND = 0xE0


@dataclass(frozen=True)
class Tempo:
    """A tempo that holds from `tick` on; `us_per_quarter` in microseconds."""

    tick: int
    us_per_quarter: int

    @property
    def bpm(self) -> float:
        """Quarter notes per minute."""
        return 60e6 / self.us_per_quarter


@dataclass(frozen=True)
class Meter:
    """A time signature that holds from `tick` on."""

    tick: int
    numerator: int
    denominator: int

    @property
    def name(self) -> str:
        """As musicians write it: "6/8"."""
        return f"{self.numerator}/{self.denominator}"

    @property
    def bar_ticks(self) -> int:
        """Length of one bar in ticks."""
        return TICKS_PER_QUARTER * 4 * self.numerator // self.denominator

    @property
    def beat_ticks(self) -> int:
        """Length of one felt beat in ticks: a dotted unit in compound meters (6/8, 9/8, 12/8)."""
        unit = TICKS_PER_QUARTER * 4 // self.denominator
        compound = self.denominator >= 8 and self.numerator % 3 == 0 and self.numerator > 3
        return unit * 3 if compound else unit


@dataclass(frozen=True)
class KeySignature:
    """A key signature from `tick` on: `sharps` in -7..7 (negative: flats), minor or major."""

    tick: int
    sharps: int
    is_minor: bool


@dataclass(frozen=True)
class Text:
    """A text event; `kind` is the MIDI meta type (1 text, 5 lyric, 6 marker, 7 cue, ...)."""

    tick: int
    kind: int
    text: str


@dataclass(frozen=True)
class SystemExclusive:
    """A system exclusive message: `data` is everything after the status byte."""

    tick: int
    status: int
    data: bytes


def no_notes() -> np.ndarray:
    """An empty NOTE array."""
    return np.zeros(0, NOTE)


def no_controls() -> np.ndarray:
    """An empty CONTROL array."""
    return np.zeros(0, CONTROL)


def make_notes(
    onset_tick: Sequence[int] | np.ndarray,
    duration_tick: Sequence[int] | np.ndarray,
    pitch: Sequence[int] | np.ndarray,
    velocity: Sequence[int] | np.ndarray | int,
) -> np.ndarray:
    """A sorted NOTE array, shape (n,), from four columns (ticks, ticks, MIDI pitch, MIDI velocity)."""
    notes = np.zeros(len(onset_tick), NOTE)
    notes["onset_tick"] = onset_tick
    notes["duration_tick"] = duration_tick
    notes["pitch"] = pitch
    notes["velocity"] = velocity
    return sort_notes(notes)


def sort_notes(notes: np.ndarray) -> np.ndarray:
    """The notes by onset, then pitch, then duration; equal notes keep their order."""
    return notes[np.lexsort((notes["duration_tick"], notes["pitch"], notes["onset_tick"]))]


def notes_by_pitch(notes: np.ndarray) -> np.ndarray:
    """A copy of the notes by pitch, then onset: those of a pitch that move in order keep their places."""
    return notes[np.lexsort((notes["onset_tick"], notes["pitch"]))]


@dataclass(frozen=True)
class Track:
    """One instrument: the events of one MIDI channel in one track chunk.

    `channel` is 0..15, or None for a track without channel events (lyrics alone, for example).
    `program` is the MIDI program at the start; later program changes are among `controls`.
    """

    name: str = ""
    channel: int | None = 0
    program: int = 0
    notes: np.ndarray = field(default_factory=no_notes)
    controls: np.ndarray = field(default_factory=no_controls)
    texts: tuple[Text, ...] = ()
    sysex: tuple[SystemExclusive, ...] = ()

    @property
    def is_drum(self) -> bool:
        """True on the General MIDI percussion channel."""
        return self.channel == DRUM_CHANNEL

    def with_notes(self, notes: np.ndarray) -> Track:
        """The same track with other notes, sorted."""
        return replace(self, notes=sort_notes(notes))


@dataclass(frozen=True)
class Score:
    """A piece: tracks, and what holds for all of them. Lists are sorted by tick."""

    tracks: tuple[Track, ...] = ()
    tempos: tuple[Tempo, ...] = ()
    meters: tuple[Meter, ...] = ()
    keys: tuple[KeySignature, ...] = ()
    texts: tuple[Text, ...] = ()
    end_tick: int = 0

    @property
    def note_count(self) -> int:
        """Number of notes in all tracks."""
        return sum(len(track.notes) for track in self.tracks)

    @property
    def last_tick(self) -> int:
        """The later of `end_tick` and the end of the last note."""
        ends = [
            int((t.notes["onset_tick"] + t.notes["duration_tick"]).max()) for t in self.tracks if len(t.notes)
        ]
        return max([self.end_tick, *ends])

    def with_track(self, index: int, track: Track) -> Score:
        """The same score with track `index` replaced."""
        tracks = list(self.tracks)
        tracks[index] = track
        return replace(self, tracks=tuple(tracks))

    def markers(self) -> tuple[Text, ...]:
        """The marker events (meta type 6)."""
        return tuple(text for text in self.texts if text.kind == MARKER)


def _tempo_map(score: Score) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start ticks, start seconds and seconds per tick of each stretch of constant tempo."""
    tempos = list(score.tempos)
    if not tempos or tempos[0].tick > 0:
        tempos.insert(0, Tempo(0, DEFAULT_TEMPO_US))
    ticks = np.array([t.tick for t in tempos], float)
    slope = np.array([t.us_per_quarter for t in tempos], float) / (1e6 * TICKS_PER_QUARTER)
    seconds = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * slope[:-1])])
    return ticks, seconds, slope


def seconds_from_ticks(score: Score, ticks: np.ndarray | Sequence[float]) -> np.ndarray:
    """Seconds from the start of the piece at each tick, along the tempo map; same shape as `ticks`."""
    starts, seconds, slope = _tempo_map(score)
    ticks = np.asarray(ticks, float)
    i = np.clip(np.searchsorted(starts, ticks, "right") - 1, 0, None)
    return seconds[i] + (ticks - starts[i]) * slope[i]


def ticks_from_seconds(score: Score, seconds: np.ndarray | Sequence[float]) -> np.ndarray:
    """Ticks (float) at each time in seconds, along the tempo map; inverse of `seconds_from_ticks`."""
    starts, begin, slope = _tempo_map(score)
    seconds = np.asarray(seconds, float)
    i = np.clip(np.searchsorted(begin, seconds, "right") - 1, 0, None)
    return starts[i] + (seconds - begin[i]) / slope[i]


def seconds_per_tick(score: Score, ticks: np.ndarray | Sequence[float]) -> np.ndarray:
    """Length of one tick in seconds at each position; same shape as `ticks`."""
    starts, _, slope = _tempo_map(score)
    i = np.clip(np.searchsorted(starts, np.asarray(ticks, float), "right") - 1, 0, None)
    return slope[i]


def bpm_at(score: Score, ticks: np.ndarray | Sequence[float]) -> np.ndarray:
    """Quarters a minute at each position; same shape as `ticks`."""
    return 60 / (TICKS_PER_QUARTER * seconds_per_tick(score, ticks))


def meters_from_zero(score: Score) -> tuple[Meter, ...]:
    """The meters, with 4/4 assumed before the first one, as the MIDI standard says."""
    meters = score.meters
    if not meters or meters[0].tick > 0:
        meters = (Meter(0, 4, 4), *meters)
    return meters


def bar_starts(score: Score, until_tick: int | None = None) -> np.ndarray:
    """Start ticks of the bars, int64, shape (bars + 1,): the last entry is the end of the last bar.

    Bars are counted from each meter change on; a bar that a meter change cuts short is short.
    `until_tick` defaults to the end of the piece; at least one bar is returned.
    """
    until = max(score.last_tick if until_tick is None else until_tick, 1)
    meters = meters_from_zero(score)
    starts: list[np.ndarray] = []
    end = 0
    for meter, following in zip(meters, [*(m.tick for m in meters[1:]), None], strict=True):
        stop = until if following is None else min(following, until)
        if stop <= meter.tick:
            continue
        part = np.arange(meter.tick, stop, meter.bar_ticks, dtype=np.int64)
        starts.append(part)
        end = int(part[-1]) + meter.bar_ticks
        if following is not None:
            end = min(end, following)
    return np.concatenate([*starts, [end]])


def bar_index(score: Score, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The start ticks of the bars, as `bar_starts` has them up to the last of `ticks`, and the bar of each.

    Both int64; the second has the shape of `ticks`, and indexes the first.
    """
    bars = bar_starts(score, int(np.max(ticks, initial=0)) + 1)
    return bars, np.clip(np.searchsorted(bars, ticks, "right") - 1, 0, len(bars) - 2)


def meter_index(score: Score, ticks: np.ndarray) -> np.ndarray:
    """Index into `meters_from_zero` of the meter in force at each tick, int64, of the same shape."""
    starts = [meter.tick for meter in meters_from_zero(score)]
    return np.maximum(np.searchsorted(starts, ticks, "right") - 1, 0)


def beat_starts(score: Score, until_tick: int | None = None) -> np.ndarray:
    """Start ticks of the felt beats, int64, shape (beats + 1,): the last entry ends the last bar."""
    bars = bar_starts(score, until_tick)
    beat_ticks = np.array([m.beat_ticks for m in meters_from_zero(score)])
    length = beat_ticks[meter_index(score, bars[:-1])]
    count = -(-np.diff(bars) // length)
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.append(np.repeat(bars[:-1], count) + number * np.repeat(length, count), bars[-1])


def meter_at(score: Score, tick: int) -> Meter:
    """The meter in force at `tick`."""
    return [m for m in meters_from_zero(score) if m.tick <= max(tick, 0)][-1]
