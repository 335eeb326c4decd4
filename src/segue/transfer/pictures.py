"""The transfer picture: the piece before and after as piano rolls, one under the other, bar by bar.

Conventions
-----------
- Each system has two rolls at one scale: above the piece as it came in, below as it is now.
- The accompaniment is drawn in colour where the stage wrote it, in grey otherwise; the melody is thin and
  dark. Drums are dashes in a row of nine below their roll, kick lowest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segue import svg
from segue.roll import (
    LEFT,
    NUMBERS,
    RIGHT,
    WIDTH,
    Roll,
    scale_of,
    systems_of,
    thickness_of,
)
from segue.score import Score, bar_starts, make_notes, meters_from_zero
from segue.stage import Record
from segue.transfer.ensemble import join
from segue.transfer.kit import CLASS_OF_PITCH, CLASSES

TOP = 84
#: Heights: a roll at most, between the two rolls of a system, between systems; a row of the drums.
ROLL, BETWEEN, SPACE, DRUM = 110, 10, 20, 3


def transfer_picture(score: Score, record: Record, after: Score, made: Record) -> bytes | None:
    """The piece before and after, as SVG; None where neither has notes."""
    rolls = [_Part(*parts) for parts in (_parts(score, record), _parts(after, made))]
    pitched = np.concatenate([n for part in rolls for n in (part.melody, part.others)])
    has_drums = any(len(part.drums) for part in rolls)
    if not len(pitched) and not has_drums:
        return None
    low, high = (
        (int(pitched["pitch"].min()) - 1, int(pitched["pitch"].max()) + 1) if len(pitched) else (59, 61)
    )
    systems = list(systems_of(bar_starts(after if after.last_tick > score.last_tick else score)))
    scale, thickness = scale_of(systems), thickness_of(low, high, ROLL)
    drums = (len(CLASSES) + 1) * DRUM if has_drums else 0
    one = thickness * (high - low + 1) + drums + NUMBERS
    height = 2 * one + BETWEEN + SPACE
    elements: list[str] = []
    first_bar = 1
    for number, system in enumerate(systems):
        for row, (part, colour) in enumerate(zip(rolls, ("before", "after"), strict=True)):
            top = TOP + number * height + row * (one + BETWEEN)
            roll = Roll(system, first_bar, top, scale, low, high, thickness)
            elements += [*roll.lines(), roll.notes(part.others, colour)]
            elements += [roll.notes(part.melody, "tune"), *_drum_row(part.drums, roll, colour)]
        first_bar += len(system) - 1
    head = _head(score, record, made)
    title = f"Transfer of {record.get('id', '')}"
    style = ".tune{stroke:#1f2430;opacity:.8}@media (prefers-color-scheme:dark){.tune{stroke:#eceef1}}"
    return svg.document(WIDTH, TOP + len(systems) * height, title, [*head, *elements], style)


class _Part:
    """The notes of one roll: melody, other pitched notes, and drums (NOTE arrays)."""

    def __init__(self, melody: np.ndarray, others: np.ndarray, drums: np.ndarray) -> None:
        self.melody, self.others, self.drums = melody, others, drums


def _parts(score: Score, record: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    groups: dict[str, list[np.ndarray]] = {"melody": [], "others": [], "drums": []}
    for track, entry in zip(score.tracks, record["tracks"], strict=True):
        role = "drums" if track.is_drum or entry["role"] == "drums" else entry["role"]
        groups[role if role in groups else "others"].append(track.notes)
    return join(groups["melody"]), join(groups["others"]), join(groups["drums"])


def _drum_row(notes: np.ndarray, roll: Roll, colour: str) -> list[str]:
    """The hits of the kit below the numbers of the bars, kick lowest."""
    notes = notes[CLASS_OF_PITCH[notes["pitch"]] >= 0]
    if not len(notes):
        return []
    row = CLASS_OF_PITCH[notes["pitch"]]
    # One row a class: the roll's arithmetic with a semitone of `DRUM` pixels.
    below = Roll(roll.bars, roll.first_bar, roll.floor + NUMBERS, roll.scale, 0, len(CLASSES) - 1, DRUM)
    hits = make_notes(notes["onset_tick"], np.full(len(notes), 60), row, notes["velocity"])
    return [below.notes(hits, colour)]


def _head(score: Score, record: Record, made: Record) -> list[str]:
    def players(entries: list[dict[str, Any]]) -> str:
        names = [e["name"] for e in entries if e["role"] not in ("melody", "drums") and e.get("notes", 1)]
        known = ", ".join(dict.fromkeys(filter(None, names)))[:70]
        return known or f"{len(names)} track{'s' * (len(names) != 1)}"

    bpm = score.tempos[0].bpm if score.tempos else 120.0
    facts = f"{record.get('meter') or meters_from_zero(score)[0].name}, {bpm:.0f} bpm"
    legend = WIDTH - RIGHT
    return [
        svg.text(24, 32, f"Transfer of {record.get('id', '')}", size=18),
        svg.text(24, 52, facts, "muted", 13),
        svg.text(24, 70, f"before: {players(record['tracks'])}", "muted", 11),
        svg.text(LEFT + WIDTH // 2, 70, f"after: {players(made['tracks'])}", "muted", 11),
        svg.line(legend - 258, 28, legend - 242, 28, "before", 4),
        svg.text(legend - 234, 32, "before", size=13),
        svg.line(legend - 176, 28, legend - 160, 28, "after", 4),
        svg.text(legend - 152, 32, "after", size=13),
        svg.line(legend - 96, 28, legend - 80, 28, "tune", 4),
        svg.text(legend - 72, 32, "melody", size=13),
    ]
