"""The groove picture: timing and velocity by place in the bar, before and after, one row a drum or role.

Conventions
-----------
- A note's *place* is where it is meant to be: where it is written, or for a track that a human played the
  nearest sixteenth or triplet. Deviations are milliseconds from the place, positive when late.
- A *row* is one drum class, or the pitched tracks of one role.
- All bars lie on top of each other. A piece of several meters shows the bars of the one with the most notes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue import svg
from segue.humanize.controls import role_of
from segue.humanize.encoding import CLASS_OF_PITCH, CLASSES
from segue.humanize.groove import human_residual
from segue.score import (
    Meter,
    Score,
    Track,
    bar_index,
    meter_index,
    meters_from_zero,
    notes_by_pitch,
    seconds_from_ticks,
)
from segue.stage import ROLES, Record

WIDTH, LEFT, PLOT, GAP, TOP = 980, 150, 370, 80, 96
#: Free space in a panel before the bar line and after the last place.
PAD = 12
ROW, ROW_GAP = 78, 18
#: Ends of the timing axis in ms; the picture takes the first that holds every note.
LIMITS_MS = (10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000)
#: Notes less than this apart in the bar share a median, in ticks.
PLACE_TICKS = 20
#: What was and what is stand this far to the left and the right of their place, in pixels.
ASIDE = 3.5


@dataclass(frozen=True)
class Row:
    """The notes of one row, each (n,): ticks from the bar line, deviations in ms, velocities 1..127."""

    name: str
    place_tick: np.ndarray
    before_ms: np.ndarray
    after_ms: np.ndarray
    before_velocity: np.ndarray
    after_velocity: np.ndarray


def groove_picture(before: Score, after: Score, record: Record) -> bytes | None:
    """What happened to a piece, as SVG; None for a piece without notes.

    The scores have the same tracks with the same notes, which may have moved and changed their velocities.
    """
    rows, meter, left_out = groove_rows(before, after, record)
    if not rows:
        return None
    name = str(record.get("id", ""))
    tempo = before.tempos[0].bpm if before.tempos else 120.0
    facts = [meter.name, f"{tempo:.0f} bpm", _notes(sum(map(_count, rows)))]
    if left_out:
        facts.append(f"{_notes(left_out)} in bars of other meters not shown")
    worst = max(float(np.abs(ms).max()) for row in rows for ms in (row.before_ms, row.after_ms))
    limit = next((ms for ms in LIMITS_MS if ms >= worst), LIMITS_MS[-1])
    elements = _head(f"Groove of {name}", ", ".join(facts), limit)
    for i, row in enumerate(rows):
        elements += _row(row, TOP + i * (ROW + ROW_GAP), meter, limit, last=i == len(rows) - 1)
    return svg.document(WIDTH, TOP + len(rows) * (ROW + ROW_GAP) + 34, f"Groove of {name}", elements)


def groove_rows(before: Score, after: Score, record: Record) -> tuple[list[Row], Meter, int]:
    """The rows that sound, the meter that is shown, and how many notes lie in bars of other meters."""
    known = record.get("tracks", [])
    names, columns = [], []
    for i, (was, now) in enumerate(zip(before.tracks, after.tracks, strict=True)):
        if len(was.notes):
            entry = known[i] if i < len(known) else {}
            names.append(_row_names(was, role_of(was, entry)))
            columns.append(_columns(before, was.notes, now.notes, bool(entry.get("human_timing"))))
    if not columns:
        return [], meters_from_zero(before)[0], 0
    name, table = np.concatenate(names), np.concatenate(columns, axis=1)
    bars, bar = bar_index(before, table[0])
    meters = meters_from_zero(before)
    kinds = [(m.numerator, m.denominator) for m in meters]
    kind = np.array([kinds.index(k) for k in kinds])
    of_note = kind[meter_index(before, bars[bar])]
    shown = int(np.bincount(of_note).argmax())
    table[0] -= bars[bar]
    rows = []
    for row in (*CLASSES, "other percussion", *ROLES[1:]):
        mine = (name == row) & (of_note == shown)
        if mine.any():
            rows.append(Row(row, *table[:, mine]))
    return rows, meters[shown], int(np.count_nonzero(of_note != shown))


def _row_names(track: Track, role: str) -> np.ndarray:
    """The row of each note, (n,) text, in the order of `_columns`."""
    pitch = np.sort(track.notes["pitch"])
    if not track.is_drum:
        return np.full(len(pitch), role)
    return np.array([*CLASSES, "other percussion"])[CLASS_OF_PITCH[pitch]]


def _columns(score: Score, before: np.ndarray, after: np.ndarray, human: bool) -> np.ndarray:
    """Place in ticks and the four columns of `Row`, (5, n), by pitch, then onset.

    Notes of one pitch keep their order, so that the n-th before is the n-th after.
    """
    was, now = notes_by_pitch(before), notes_by_pitch(after)
    onset = was["onset_tick"].astype(np.int64)
    place = np.rint(onset - human_residual(score, onset)) if human else onset
    at, *played = (seconds_from_ticks(score, ticks) for ticks in (place, onset, now["onset_tick"]))
    return np.stack([place, *((s - at) * 1000 for s in played), was["velocity"], now["velocity"]])


def _count(row: Row) -> int:
    return len(row.place_tick)


def _notes(count: int) -> str:
    return f"{count:,} note" + "s" * (count != 1)


def _head(title: str, facts: str, limit: int) -> list[str]:
    second = LEFT + PLOT + GAP
    legend = WIDTH - 30
    return [
        svg.text(24, 32, title, size=18),
        svg.text(24, 52, facts, "muted", 13),
        svg.line(legend - 208, 28, legend - 192, 28, "before", 3),
        svg.text(legend - 184, 32, "before", size=13),
        svg.line(legend - 122, 28, legend - 106, 28, "after", 3),
        svg.text(legend - 98, 32, "after", size=13),
        svg.text(legend, 52, "dot: a note, dash: the median of a place", "muted", 11, "end"),
        svg.text(LEFT, TOP - 14, f"timing: ms late (+) or early (-), to {limit}", "ink", 12),
        svg.text(second, TOP - 14, "velocity, 1 to 127", "ink", 12),
    ]


def _row(row: Row, top: float, meter: Meter, limit: int, last: bool) -> list[str]:
    elements = [
        svg.text(24, top + ROW / 2, row.name, size=13),
        svg.text(24, top + ROW / 2 + 16, _notes(_count(row)), "muted", 11),
    ]
    panels = (
        (LEFT, row.before_ms, row.after_ms, (-limit, 0, limit), (f"-{limit}", "0", f"+{limit}")),
        (LEFT + PLOT + GAP, row.before_velocity, row.after_velocity, (0, 64, 127), ("0", "64", "127")),
    )
    for left, was, now, marks, labels in panels:
        elements += _axes(left, top, meter, marks, labels, last)
        x = _across(left, row.place_tick, meter)
        for values, colour, aside in ((was, "before", -ASIDE), (now, "after", ASIDE)):
            low, high = marks[0], marks[-1]
            y = top + ROW * (1 - (np.clip(values, low, high) - low) / (high - low))
            places, back = np.unique(row.place_tick // PLACE_TICKS, return_inverse=True)
            middle = np.array([[np.median(v[back == i]) for i in range(len(places))] for v in (x + aside, y)])
            elements.append(svg.dots(x + aside, y, colour))
            elements.append(svg.dashes(*middle, colour))
    return elements


def _across(left: float, tick: np.ndarray | float, meter: Meter) -> np.ndarray | float:
    """Where in the panel that begins at `left` a tick of the bar lies, in pixels."""
    return left + PAD + (PLOT - 2 * PAD) * tick / meter.bar_ticks


def _axes(
    left: float, top: float, meter: Meter, marks: tuple[float, ...], labels: tuple[str, ...], last: bool
) -> list[str]:
    """Beat lines, three level lines with their labels and, below the last row, the numbers of the beats."""
    elements = []
    beats = np.arange(0, meter.bar_ticks + 1, meter.beat_ticks)
    for number, tick in enumerate(beats.tolist(), 1):
        x = _across(left, tick, meter)
        elements.append(svg.line(x, top, x, top + ROW, "grid"))
        if last and tick < meter.bar_ticks:
            elements.append(svg.text(x, top + ROW + 18, str(number), "muted", 12, "middle"))
    if last:
        elements.append(svg.text(left + PLOT / 2, top + ROW + 36, "beat of the bar", "muted", 11, "middle"))
    for mark, label in zip(marks, labels, strict=True):
        y = top + ROW * (1 - (mark - marks[0]) / (marks[-1] - marks[0]))
        elements.append(svg.line(left, y, left + PLOT, y, "axis" if label == "0" else "grid"))
        elements.append(svg.text(left - 8, y + 4, label, "muted", 10, "end"))
    return elements
