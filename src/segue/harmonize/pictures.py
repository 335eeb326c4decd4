"""The harmony picture: a piano roll in systems, with chord symbols and the keys over it.

Conventions
-----------
- A *system* is a row of the picture with a piano roll of its own (`segue.roll`).
- Text that would run into its neighbour gives way: a chord symbol that has no room up to the next chord
  shrinks to `SMALLEST` pixels, and where that is not enough it is left out and counted; its colour stays. A
  chord that goes on into the next system is named there again.
  Roman numerals, names of keys and numbers of bars are left out without a word.
- The colours of chords and keys go round the circle of fifths with their root: near chords look alike.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue import svg
from segue.chords import note_name, parse_chord
from segue.harmonize.listening import Parts, parts_of
from segue.roll import (
    LEFT,
    NUMBERS,
    RIGHT,
    WIDTH,
    Roll,
    scale_of,
    systems_of,
    text_width,
    thickness_of,
)
from segue.score import Score, bar_starts, meters_from_zero
from segue.stage import Record

TOP = 84
#: Heights of the parts of a system, from above: keys, symbols, numerals, roll (at most), and the space below.
KEYS, SYMBOLS, NUMERALS, ROLL, SPACE = 16, 19, 14, 132, 14
#: Sizes of chord symbols, and the room between two of them.
LARGEST, SMALLEST, ROOM = 14, 9, 5


@dataclass(frozen=True)
class Labelled:
    """Something that holds between two ticks: a chord or a key. `root` (0..11) gives its colour, or None."""

    start: int
    stop: int
    root: int | None
    label: str
    #: The Roman numeral of a chord, the tonic of a key (`Ebm`): what is shown beside or instead of the label.
    short: str = ""


@dataclass(frozen=True)
class Placed:
    """A label where it is drawn: `x` is where it begins, `size` 0 for one that is left out."""

    span: Labelled
    x: float
    size: float
    #: Whether the chord begins here; else it goes on from the system before.
    is_new: bool

    @property
    def stop(self) -> float:
        """Where the label ends, in pixels."""
        return self.x + text_width(self.span.label, self.size)


def harmony_picture(score: Score, record: Record) -> bytes | None:
    """The piece with the chords and keys of its record, as SVG; None for a piece without pitched notes."""
    parts = parts_of(score, record)
    if not parts:
        return None
    everything = np.concatenate([parts.melody, parts.accompaniment])
    bars = bar_starts(score, max(parts.last_tick, *(int(c["tick"]) + 1 for c in _entries(record)), 1))
    systems = list(systems_of(bars))
    chords, keys = chord_spans(record, int(bars[-1])), key_spans(record, int(bars[-1]))
    scale = scale_of(systems)
    low, high = int(everything["pitch"].min()) - 1, int(everything["pitch"].max()) + 1
    thickness = thickness_of(low, high, ROLL)
    has_numerals = any(chord.short for chord in chords)
    height = KEYS + SYMBOLS + NUMERALS * has_numerals + thickness * (high - low + 1) + NUMBERS + SPACE
    elements: list[str] = []
    shown: set[Labelled] = set()
    for number, system in enumerate(systems):
        first_bar = int(np.searchsorted(bars, system[0])) + 1
        top = TOP + number * height
        above = KEYS + SYMBOLS + NUMERALS * has_numerals
        page = _System(Roll(system, first_bar, top + above, scale, low, high, thickness), top)
        placed = place_symbols(chords, int(system[0]), int(system[-1]), scale)
        shown |= {label.span for label in placed if label.size}
        elements += page.elements(parts, chords, keys, placed)
    head = _head(score, record, chords, keys, len(set(chords) - shown))
    name = f"Harmony of {record.get('id', '')}"
    return svg.document(WIDTH, TOP + len(systems) * height, name, [*head, *elements], _style())


def chord_spans(record: Record, end: int) -> list[Labelled]:
    """The chords of the record up to `end`; one that nothing can be read from has no colour."""
    entries = _entries(record)
    stops = [*(int(entry["tick"]) for entry in entries[1:]), end][: len(entries)]
    spans = []
    for entry, stop in zip(entries, stops, strict=True):
        chord = parse_chord(entry["label"])
        root = None if chord is None else chord.root
        spans.append(
            Labelled(int(entry["tick"]), stop, root, str(entry["label"]), str(entry.get("roman", "")))
        )
    return spans


def key_spans(record: Record, end: int) -> list[Labelled]:
    """The local keys of the record, or its one key over the whole piece, up to `end`."""
    key = record.get("key")
    regions = record.get("keys") or ([{**key, "tick": 0}] if key else [])
    regions = sorted(regions, key=lambda region: region["tick"])
    stops = [*(int(region["tick"]) for region in regions[1:]), end][: len(regions)]
    return [
        Labelled(int(k["tick"]), stop, int(k["tonic"]), k["name"], _short_key(k))
        for k, stop in zip(regions, stops, strict=True)
    ]


def _short_key(key: dict[str, Any]) -> str:
    return note_name(int(key["tonic"]), key) + ("m" if key["mode"] == "minor" else "")


def _entries(record: Record) -> list[dict[str, Any]]:
    return sorted(record.get("chords") or (), key=lambda entry: int(entry["tick"]))


def place_symbols(chords: Sequence[Labelled], start: int, stop: int, scale: float) -> list[Placed]:
    """The chord symbols of the system between two ticks, at `scale` pixels a tick.

    A chord that goes on from the system before is named again where there is room.
    """
    shown = [chord for chord in chords if chord.start < stop and chord.stop > max(start, chord.start)]
    at = [LEFT + scale * (max(chord.start, start) - start) + 2 for chord in shown]
    placed = []
    for chord, x, limit in zip(shown, at, [*at[1:], LEFT + scale * (stop - start) + ROOM], strict=False):
        fits = (limit - x - ROOM) / max(text_width(chord.label, 1), 1e-9)
        size = min(LARGEST, np.floor(2 * fits) / 2)
        placed.append(Placed(chord, x, float(size) if size >= SMALLEST else 0.0, chord.start >= start))
    return placed


@dataclass(frozen=True)
class _System:
    """A system: its piano roll, and the top of what lies above that."""

    roll: Roll
    top: float

    def elements(
        self,
        parts: Parts,
        chords: Sequence[Labelled],
        keys: Sequence[Labelled],
        placed: Sequence[Placed],
    ) -> list[str]:
        """All of the system, what lies behind first."""
        return [
            *(self._area(c, self.roll.top, self.roll.floor, "chord") for c in self._inside(chords)),
            *self._keys(self._inside(keys)),
            *self.roll.lines(),
            self.roll.notes(parts.accompaniment, "before"),
            self.roll.notes(parts.melody, "after"),
            *self._labels(placed),
        ]

    def _inside(self, spans: Sequence[Labelled]) -> list[Labelled]:
        return [
            s
            for s in spans
            if s.root is not None and s.start < self.roll.bars[-1] and s.stop > self.roll.bars[0]
        ]

    def _area(self, span: Labelled, top: float, bottom: float, kind: str) -> str:
        x, stop = self.roll.x(span.start), self.roll.x(span.stop)
        return svg.area(x, top, stop - x, bottom - top, f"{kind} fifth{(span.root or 0) * 7 % 12}")

    def _keys(self, keys: Sequence[Labelled]) -> list[str]:
        elements = []
        for key in keys:
            elements.append(self._area(key, self.top, self.top + KEYS - 3, "key"))
            x, stop = self.roll.x(key.start) + 4, self.roll.x(key.stop)
            text = next((t for t in (key.label, key.short) if x + text_width(t, 11) <= stop), "")
            if text:
                elements.append(svg.text(x, self.top + 10, text, size=11))
        return elements

    def _labels(self, placed: Sequence[Placed]) -> list[str]:
        elements = []
        line = self.top + KEYS + SYMBOLS - 5
        limits = [*(label.x for label in placed[1:]), self.roll.x(self.roll.bars[-1])]
        for label, limit in zip(placed, limits, strict=False):
            colour = "ink" if label.is_new else "muted"
            if label.size:
                elements.append(svg.text(label.x, line, label.span.label, colour, label.size))
            numeral = label.span.short
            if numeral and label.size and label.x + text_width(numeral, SMALLEST) + ROOM <= limit:
                elements.append(svg.text(label.x, line + NUMERALS - 1, numeral, "muted", SMALLEST))
        return elements


def _head(
    score: Score, record: Record, chords: Sequence[Labelled], keys: Sequence[Labelled], left_out: int
) -> list[str]:
    named = sum(chord.root is not None for chord in chords)
    tempo = score.tempos[0].bpm if score.tempos else 120.0
    key = (record.get("key") or {}).get("name")
    facts = [
        *([key] if key else []),
        *([f"{len(keys)} key regions"] if len(keys) > 1 else []),
        record.get("meter") or meters_from_zero(score)[0].name,
        f"{tempo:.0f} bpm",
        f"{named:,} chord" + "s" * (named != 1),
        *(
            [f"{left_out:,} chord symbol{'s' * (left_out != 1)} left out for lack of room"]
            if left_out
            else []
        ),
    ]
    legend = WIDTH - RIGHT
    return [
        svg.text(24, 32, f"Harmony of {record.get('id', '')}", size=18),
        svg.text(24, 52, ", ".join(facts), "muted", 13),
        svg.line(legend - 238, 28, legend - 222, 28, "after", 4),
        svg.text(legend - 214, 32, "melody", size=13),
        svg.line(legend - 136, 28, legend - 120, 28, "before", 4),
        svg.text(legend - 112, 32, "accompaniment", size=13),
        svg.text(legend, 52, "band: key, tint: chord, number: bar", "muted", 11, "end"),
    ]


def _style() -> str:
    """The colours of the twelve roots, round the circle of fifths; stronger on dark paper."""
    hues = [colorsys.hls_to_rgb((i / 12 + 0.08) % 1, 0.5, 0.7) for i in range(12)]
    fills = "".join(
        f".fifth{i}{{fill:#{''.join(f'{round(255 * part):02x}' for part in hue)}}}"
        for i, hue in enumerate(hues)
    )
    dark = "@media (prefers-color-scheme:dark){.chord{fill-opacity:.2}.key{fill-opacity:.6}}"
    return f"{fills}.chord{{fill-opacity:.17}}.key{{fill-opacity:.42}}{dark}"
