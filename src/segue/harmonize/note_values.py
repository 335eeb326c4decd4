"""Stretches of time as note values: which notes, dots and triplets write them, tied where one is not enough.

Times are units (1/12 quarter) from the start of a bar. Triplets lie within a quarter, or within an eighth
where the quarter has something on its middle; everything else is written in sixteenths and what is longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_QUARTER = 12
_EIGHTH = 6
_SIXTEENTH = 3
_COMPOUND_BEAT = 18
#: Note value and dots by length in units, plain and in a triplet.
_PLAIN = {
    48: ("whole", 0), 24: ("half", 0), 12: ("quarter", 0), 6: ("eighth", 0), 3: ("16th", 0),
    72: ("whole", 1), 36: ("half", 1), 18: ("quarter", 1), 9: ("eighth", 1),
}  # fmt: skip
_TRIPLET = {8: "quarter", 4: "eighth", 2: "16th", 1: "32nd"}


class Value(NamedTuple):
    """A written note or rest: where it begins and how long it is (units), value and dots.

    `group` are the bounds of its triplet, None outside of triplets.
    """

    start: int
    length: int
    kind: str
    dots: int
    group: tuple[int, int] | None


def triplets(bounds: Sequence[int], bar: int, compound: bool) -> list[tuple[int, int]]:
    """Where a bar of `bar` units needs triplets, as (start, stop) in order.

    `bounds` are the places where something begins or ends. `compound`: beats are dotted quarters.
    """
    found: list[tuple[int, int]] = []
    for beat in range(0, bar, _QUARTER):
        inner = {b - beat for b in bounds if beat < b < min(beat + _QUARTER, bar)}
        whole = beat + _QUARTER <= bar and not compound
        if whole and inner & {4, 8} and inner <= {2, 4, 8, 10}:
            found.append((beat, beat + _QUARTER))
            continue
        for half in range(beat, min(beat + _QUARTER, bar), _EIGHTH):
            stop = min(half + _EIGHTH, bar)
            cuts = [stop, *(b for b in bounds if half < b < stop)]
            if any((cut - half) % _SIXTEENTH for cut in cuts):
                found.append((half, stop))
    return found


def note_values(
    start: int, stop: int, groups: Sequence[tuple[int, int]], bar: int, compound: bool
) -> list[Value]:
    """The values, tied to each other, that write what lasts from `start` to `stop` within a bar."""
    values: list[Value] = []
    while start < stop:
        group = next((g for g in groups if g[0] <= start < g[1]), None)
        if group:
            length = _triplet_length(start - group[0], min(stop, group[1]) - start)
            values.append(Value(start, length, _TRIPLET[length], 0, group))
        else:
            end = min([stop, *(g[0] for g in groups if g[0] > start)])
            length = _compound_length(start, end) if compound else _simple_length(start, end, bar)
            values.append(Value(start, length, *_PLAIN[length], None))
        start += length
    return values


def _triplet_length(place: int, room: int) -> int:
    """The longest value at a place within a triplet."""
    return next(v for v in _TRIPLET if v <= room and place % {8: 4, 4: 2}.get(v, v) == 0)


def _simple_length(start: int, stop: int, bar: int) -> int:
    """The longest value that shows the quarters, and the middle of a bar of four."""
    place = start % _QUARTER
    if place == 0:
        return next(v for v in (48, 36, 24, 18, 12, 9, 6, 3) if v <= stop - start)
    if place == _EIGHTH:
        middle = bar // 2 if bar == 4 * _QUARTER and start < bar // 2 else stop
        return next(v for v in (12, 6, 3) if v <= min(stop, middle) - start)
    room = min(stop, start - place + _QUARTER) - start
    return next(v for v in (9, 6, 3) if v <= room)


def _compound_length(start: int, stop: int) -> int:
    """The longest value that shows the dotted quarters."""
    place = start % _COMPOUND_BEAT
    if place == 0 and stop - start >= _COMPOUND_BEAT:
        return next(v for v in (72, 36, 18) if v <= stop - start)
    room = min(stop, start - place + _COMPOUND_BEAT) - start
    return next(v for v in (12, 9, 6, 3) if v <= room and (v == _SIXTEENTH or place % _EIGHTH == 0))
