"""Written bars to a played score: repeats and endings unfolded, ties joined, bars laid one after another.

Positions within a bar are ticks from its start; a part has one `Bar` for each measure that is written.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from segue.ingest.barlines import meters_from_bars
from segue.score import (
    DRUM_CHANNEL,
    LYRIC,
    MARKER,
    KeySignature,
    Meter,
    Score,
    Tempo,
    Text,
    Track,
    make_notes,
)

_MOST_PLAYED_BARS = 20_000


@dataclass
class Note:
    """A written note: where it begins in its bar, ticks, and what the unfolding needs to know."""

    start: int
    duration: int
    pitch: int
    velocity: int
    staff: int
    tied_from: bool
    tied_to: bool
    words: dict[str, str]


@dataclass
class Bar:
    """What one part holds in one measure; positions in ticks from its start."""

    length: int = 0
    notes: list[Note] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    markers: list[tuple[int, str]] = field(default_factory=list)
    meter: Meter | None = None
    key: tuple[int, bool] | None = None
    forward: bool = False
    backward: int = 0
    endings: tuple[int, ...] = ()


@dataclass
class Part:
    """A part of the score, bar by bar."""

    name: str
    program: int
    is_drum: bool
    bars: list[Bar]


def playing_order(bars: list[Bar]) -> list[tuple[int, int]]:
    """(measure, pass 1, 2, ...) in the order of playing, with repeats and endings played out."""
    order: list[tuple[int, int]] = []
    i, start, turn, was_ending = 0, 0, 1, False
    while i < len(bars) and len(order) < _MOST_PLAYED_BARS:
        bar = bars[i]
        if (bar.forward and i != start) or (was_ending and not bar.endings):
            start, turn = i, 1
        was_ending = bool(bar.endings)
        if bar.endings and turn not in bar.endings:
            i += 1
            continue
        order.append((i, turn))
        if bar.backward and (turn < bar.backward or _has_ending(bars, i, turn + 1)):
            turn += 1
            i = start
            was_ending = False
            continue
        if bar.backward and not bar.endings:
            start, turn = i + 1, 1
        i += 1
    return order


def _has_ending(bars: list[Bar], i: int, turn: int) -> bool:
    """Whether the endings at and right after bar `i` hold one for a further turn."""
    while i < len(bars) and bars[i].endings:
        if turn in bars[i].endings:
            return True
        i += 1
    return False


def lay_out(parts: list[Part]) -> Score:
    """The score that the parts sound as when they are played from the first bar to the last."""
    count = max(len(part.bars) for part in parts)
    for part in parts:
        part.bars += [Bar() for _ in range(count - len(part.bars))]
    columns = list(zip(*(part.bars for part in parts), strict=True))
    shared = [_merge(column) for column in columns]
    order = playing_order(shared)
    meter = Meter(0, 4, 4)
    written: list[Meter] = []
    for bar in shared:
        meter = bar.meter or meter
        bar.meter = meter
        bar.length = bar.length or meter.bar_ticks
    starts: list[int] = []
    at = 0
    for i, _ in order:
        starts.append(at)
        written.append(shared[i].meter or meter)
        at += shared[i].length
    tempos: dict[int, int] = {}
    keys: dict[int, tuple[int, bool]] = {}
    markers: dict[tuple[int, str], None] = {}
    for start, (i, _) in zip(starts, order, strict=True):
        tempos.update({start + tick: us for tick, us in shared[i].tempos})
        markers.update(dict.fromkeys((start + tick, text) for tick, text in shared[i].markers))
        if shared[i].key is not None:
            keys[start] = shared[i].key
    channels = [c for c in range(16) if c != DRUM_CHANNEL]
    tracks: list[Track] = []
    for number, part in enumerate(parts):
        channel = DRUM_CHANNEL if part.is_drum else channels[number % len(channels)]
        tracks += _tracks_of(part, channel, starts, order)
    return Score(
        tracks=tuple(tracks),
        tempos=tuple(Tempo(t, us) for t, us in sorted(tempos.items())),
        meters=meters_from_bars(starts, written, at),
        keys=tuple(KeySignature(t, *key) for t, key in _changes(keys)),
        texts=tuple(Text(t, MARKER, text) for t, text in sorted(markers, key=lambda m: m[0])),
        end_tick=at,
    )


def _merge(column: tuple[Bar, ...]) -> Bar:
    """What holds for all parts in one measure. Keys come from the first part: others may be transposed."""
    merged = Bar(length=max(bar.length for bar in column))
    for bar in column:
        merged.tempos += bar.tempos
        merged.markers += bar.markers
        merged.meter = merged.meter or bar.meter
        merged.key = merged.key if merged.key is not None else bar.key
        merged.forward |= bar.forward
        merged.backward = max(merged.backward, bar.backward)
        merged.endings = merged.endings or bar.endings
    return merged


def _changes(keys: dict[int, tuple[int, bool]]) -> list[tuple[int, tuple[int, bool]]]:
    kept: list[tuple[int, tuple[int, bool]]] = []
    for tick, key in sorted(keys.items()):
        if not kept or kept[-1][1] != key:
            kept.append((tick, key))
    return kept


def _tracks_of(part: Part, channel: int, starts: list[int], order: list[tuple[int, int]]) -> list[Track]:
    """One track a staff, ties joined; a part without notes gives one empty track."""
    rows: dict[int, list[list[int]]] = defaultdict(list)
    words: list[Text] = []
    open_ties: dict[tuple[int, int], list[int]] = {}
    for start, (i, turn) in zip(starts, order, strict=True):
        for note in part.bars[i].notes:
            onset = start + note.start
            if note.words:
                verse = note.words.get(str(turn)) or next(iter(note.words.values()))
                words.append(Text(onset, LYRIC, verse))
            before = open_ties.pop((note.staff, note.pitch), None)
            if note.tied_from and before is not None and before[0] + before[1] == onset:
                row = before
                row[1] += note.duration
            else:
                row = [onset, note.duration, note.pitch, note.velocity]
                rows[note.staff].append(row)
            if note.tied_to:
                open_ties[note.staff, note.pitch] = row
    tracks = []
    for number, staff in enumerate(sorted(rows) or [1]):
        columns = list(zip(*rows[staff], strict=True)) or [(), (), (), ()]
        tracks.append(
            Track(
                name=part.name,
                channel=channel,
                program=part.program,
                notes=make_notes(*columns),
                texts=tuple(sorted(words, key=lambda w: w.tick)) if number == 0 else (),
            )
        )
    return tracks
