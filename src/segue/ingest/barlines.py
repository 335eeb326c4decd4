"""Meters from written bar lines, so that bars counted from the meters fall where the notation has them.

A pickup bar, or a bar cut in two by a repeat sign, is shorter than its meter says. Short bars that add up
to one full bar are left alone; any other bar of unusual length gets a meter of its own.
"""

from __future__ import annotations

from dataclasses import replace

from segue.score import TICKS_PER_QUARTER, Meter

_WHOLE = 4 * TICKS_PER_QUARTER


def meters_from_bars(starts: list[int], written: list[Meter], end: int) -> tuple[Meter, ...]:
    """The meters that put a bar line at each of `starts`.

    `starts` are the bars' first ticks in order, the first one 0; `written` the meter written for each bar
    (its tick is ignored); `end` the tick after the last bar.
    """
    lengths = [after - start for start, after in zip(starts, [*starts[1:], end], strict=True)]
    meters: list[Meter] = []

    def say(meter: Meter, tick: int) -> None:
        same = meters and (meters[-1].numerator, meters[-1].denominator) == (
            meter.numerator,
            meter.denominator,
        )
        if not same:
            meters.append(replace(meter, tick=tick))

    i = 0
    while i < len(starts):
        full = written[i].bar_ticks
        joined = i + 1 < len(starts) and lengths[i] < full and lengths[i] + lengths[i + 1] == full
        last = i + 1 == len(starts)
        if lengths[i] == full or joined or (last and lengths[i] < full):
            say(written[i], starts[i])
            i += 2 if joined else 1
            continue
        say(_meter_of_length(lengths[i]) or written[i], starts[i])
        i += 1
    return tuple(meters)


def _meter_of_length(ticks: int) -> Meter | None:
    """A meter whose bar lasts `ticks`, with the longest unit that divides it; None where no unit does."""
    for denominator in (4, 8, 16, 32, 64):
        unit = _WHOLE // denominator
        if ticks > 0 and ticks % unit == 0 and ticks // unit <= 255:
            return Meter(0, ticks // unit, denominator)
    return None
