"""Which of several variations comes first: how likely it is, and what can be held against it.

Of variations of two bars within validation tunes the likeliest are nearest to what stood there
(`training.melody.ranking`), but the likeliest music of all is the dullest. So what is more predictable than a
share of the melody itself is no better for it: below `_DULL` of the melody's own surprise all count the same.
Each musical check (`checks`) that a variation fails, while the melody itself does no such thing, costs
`_FAULT` nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.complete import checks

#: Share of the melody's own surprise below which less of it is no merit.
_DULL = 0.4
#: What a failed check costs, in nats an event.
_FAULT = 0.25
#: Times that a cell may be said in a row, even if the melody itself says none so often.
LONGEST_LOOP = 3


@dataclass(frozen=True)
class Voice:
    """Notes of one voice: `onset` and `length` in units, `pitch` MIDI; int64, shape (notes,)."""

    onset: np.ndarray
    length: np.ndarray
    pitch: np.ndarray


@dataclass(frozen=True)
class Passage:
    """New notes with the music right around them.

    `new` is what was written in [start, stop) units; `near` the same with the note before and two after,
    `around` with the two bars before and the note after. `closes`: nothing follows, so that the last note
    must be a place to end on.
    """

    new: Voice
    near: Voice
    around: Voice
    start: int
    stop: int
    bar: int
    beat: int
    origin: int
    closes: bool


@dataclass(frozen=True)
class Habits:
    """What the melody itself does: range (MIDI), tonic (pitch class), and its own figures in the checks."""

    lowest: int
    highest: int
    tonic: int
    minor: bool
    repetition: int
    leap_share: float
    bar_run: int
    loop: int


def habits(voices: Sequence[Voice], tonic: int, minor: bool, bars: Sequence[tuple[int, int]]) -> Habits:
    """The habits of a melody in some stretches; `bars` has the length and the start of a bar of each."""
    pitch = np.concatenate([v.pitch for v in voices])
    return Habits(
        int(pitch.min()),
        int(pitch.max()),
        tonic,
        minor,
        max(checks.longest_repetition(v.pitch) for v in voices),
        sum(checks.unresolved_leaps(v.pitch) for v in voices) / max(len(pitch), 1),
        max(checks.longest_bar_run(v.onset, v.pitch, *b) for v, b in zip(voices, bars, strict=True)),
        max(checks.longest_loop(v.onset, v.pitch) for v in voices),
    )


def check(passages: Sequence[Passage], own: Habits) -> dict[str, Any]:
    """The figures of all checks over the passages of a variation."""
    ends = [p for p in passages if p.closes and len(p.new.pitch)]
    return {
        "outside_range": sum(checks.outside_range(p.new.pitch, own.lowest, own.highest) for p in passages),
        "longest_repetition": max(checks.longest_repetition(p.around.pitch) for p in passages),
        "unresolved_leaps": sum(checks.unresolved_leaps(p.near.pitch) for p in passages),
        "ends_stable": all(checks.ends_stable(int(p.new.pitch[-1]), own.tonic, own.minor) for p in ends),
        "ends_on_strong_beat": all(
            checks.is_strong_place(int(p.new.onset[-1] - p.origin) % p.bar, p.bar, p.beat) for p in ends
        ),
        "longest_silence_bars": round(
            max(checks.longest_silence(p.new.onset, p.new.length, p.start, p.stop) / p.bar for p in passages),
            2,
        ),
        "loop": max(checks.longest_loop(p.around.onset, p.around.pitch) for p in passages),
        "equal_bars": max(
            checks.longest_bar_run(p.around.onset, p.around.pitch, p.bar, p.origin) for p in passages
        ),
    }


def faults(figures: dict[str, Any], own: Habits, notes: int) -> list[str]:
    """The checks that a variation of `notes` new notes fails; what the melody does itself is no fault."""
    failed = {
        "outside_range": figures["outside_range"] > notes / 10,
        "longest_repetition": figures["longest_repetition"] > max(own.repetition, 3),
        "unresolved_leaps": figures["unresolved_leaps"] > own.leap_share * notes,
        "ends_stable": not figures["ends_stable"],
        "ends_on_strong_beat": not figures["ends_on_strong_beat"],
        "longest_silence_bars": figures["longest_silence_bars"] > 1,
        "equal_bars": figures["equal_bars"] > max(own.bar_run, 2),
        "loop": figures["loop"] > max(own.loop, LONGEST_LOOP),
    }
    return [name for name, bad in failed.items() if bad]


def penalty(nats: float, own: float | None, failed: Sequence[str]) -> float:
    """What a variation loses, in nats an event: its surprise and its faults; the least is the best.

    `own` is the surprise of the melody itself, None where it is unknown.
    """
    return round(max(nats, _DULL * (own or 0.0)) + _FAULT * len(failed), 3)


def order(penalties: Sequence[float]) -> list[int]:
    """Indices from the best to the worst; of equals the earlier one comes first."""
    return sorted(range(len(penalties)), key=lambda i: (penalties[i], i))
