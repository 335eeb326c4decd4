"""How pieces of a folder come out in a style: the figures over pieces, and their table.

Conventions
-----------
- Points and intervals are those of `segue.transfer.plane`; each piece is one point of each kind.
- `random` is another piece of the folder, `copy` one of the examples.
- Chords: the share of beats in which harmonize's model hears the triad that is meant, all tracks sounding and
  no chord symbol shown, over the pieces' beats together. Before the transfer only pieces with chords of their
  own count: where harmonize found the chords, it hears what it heard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.metrics.bootstrap import interval_of_ratio
from segue.metrics.style import chroma_similarity, cosine, rhythm_similarity
from segue.transfer.evaluate_folder import Example, StylePiece, template_side
from segue.transfer.plane import KINDS, Plane, all_together
from segue.transfer.profiles import notes_a_beat
from segue.transfer.template import library

PITCHED, DRUMS = ("interval", "duration"), ("drums", "velocity")
_HEADS = {"transfer": "transfer", "template": "template of the examples", "copy": "copy of an example"}


@dataclass(frozen=True)
class StyleTable:
    """`points` by kind (see `Plane.summary`), further figures by name, and what is to be said of them."""

    measures: Sequence[str]
    points: dict[str, Any]
    figures: dict[str, str]
    notes: list[str]


def style_table(
    pieces: Sequence[StylePiece],
    wanted: Sequence[np.ndarray] | None,
    examples: Sequence[Example],
    target: str,
    drums: bool,
    seed: int,
) -> StyleTable:
    """The table over at least one piece.

    `wanted` are the histograms of the style; None takes those of the examples, one at least.
    """
    measures = DRUMS if drums else PITCHED
    if wanted is None:
        parts = [[h / max(h.sum(), 1) for h in e.side.histograms] for e in examples]
        wanted = [np.mean(part, axis=0) for part in zip(*parts, strict=True)]
    compared = [p for p in pieces if p.before is not None]
    notes = _notes(pieces, examples, target)
    points: dict[str, Any] = {}
    if compared:
        points = _plane(compared, wanted, examples, measures, seed).summary(all_together)["all"]
    return StyleTable(measures, points, _figures(pieces), notes)


def _plane(
    pieces: Sequence[StylePiece],
    wanted: Sequence[np.ndarray],
    examples: Sequence[Example],
    measures: Sequence[str],
    seed: int,
) -> Plane:
    like: Callable[[np.ndarray, np.ndarray], float]
    like = rhythm_similarity if measures == DRUMS else chroma_similarity
    plane = Plane(measures, measures)
    parts = [e.part for e in examples if e.part is not None]
    bars = library(parts) if parts else None
    rng = np.random.default_rng(seed)
    for number, piece in enumerate(pieces):
        sides = {"transfer": piece.after, "identity": piece.before}
        if bars is not None:
            sides["template"] = template_side(piece, bars, seed + number)
        if examples:
            sides["copy"] = examples[int(rng.integers(len(examples)))].side
        if len(pieces) > 1:
            other = (number + int(rng.integers(1, len(pieces)))) % len(pieces)
            sides["random"] = pieces[other].before
        for kind, side in sides.items():
            fits = [cosine(own, style) for own, style in zip(side.histograms, wanted, strict=True)]
            plane.add("", "", kind, number, like(piece.before.content, side.content), fits)
    return plane


def _figures(pieces: Sequence[StylePiece]) -> dict[str, str]:
    """Figures that have no baseline but the pieces themselves, as text."""
    out = {}
    heard = np.array([p.beats for p in pieces if p.beats is not None]).reshape(-1, 2, 2)
    found = np.array([p.chords_found for p in pieces if p.beats is not None], bool)
    for at, name in enumerate(("in the pieces", "in the output")):
        counts = heard[:, at] if at else heard[~found, at]
        right, counted = counts[counts[:, 1] > 0].T
        if len(counted):
            low, high = interval_of_ratio(right, counted)
            out[f"chords heard as meant {name}"] = (
                f"{100 * right.sum() / counted.sum():.1f} % [{100 * low:.1f}, {100 * high:.1f}] "
                f"of {counted.sum():,} beats"
            )
    written = sum(len(p.after.notes) for p in pieces)
    if len(heard):
        inside = sum(p.in_range for p in pieces)
        out["notes in their instrument's range"] = f"{100 * inside / max(written, 1):.1f} % of {written:,}"
    both = [
        (notes_a_beat(p.before.notes, p.score), notes_a_beat(p.after.notes, p.score))
        for p in pieces
        if p.before
    ]
    if both:
        before, after = np.mean(both, axis=0)
        out["notes a beat"] = f"{before:.2f} before, {after:.2f} after"
    return out


def _notes(pieces: Sequence[StylePiece], examples: Sequence[Example], target: str) -> list[str]:
    found = sum(p.chords_found for p in pieces)
    bare = sum(p.before is None for p in pieces)
    notes = [f"{_count(len(pieces), 'piece')} in the style {target}"]
    if found:
        notes.append(f"the chords of {found} of them are those that harmonize finds")
    if bare:
        notes.append(f"{bare} of them had nothing to be replaced, so nothing is compared with it")
    if examples:
        notes.append(f"template and copy are made of {_count(len(examples), 'example')}")
    else:
        notes.append("template and copy need music in the style: give a folder of it with --examples")
    return notes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)


def table_text(table: StyleTable) -> str:
    """The table for a terminal."""
    blocks = []
    if table.points:
        heads = ["", "content", "95 % interval", "fit", "95 % interval", *table.measures]
        rows = [heads]
        for kind in (k for k in KINDS if k in table.points):
            p = table.points[kind]
            rows.append(
                [
                    _HEADS.get(kind, kind),
                    *(
                        text
                        for key in ("content", "fit")
                        for text in (f"{p[key]:.3f}", _range(p[f"{key}_interval"]))
                    ),
                    *(f"{p[m]:.3f}" for m in table.measures),
                ]
            )
        widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
        blocks.append("\n".join(_line(row, widths) for row in rows))
        blocks.append("\n".join(_standing(table.points)))
    blocks.append("\n".join(f"{name}: {text}" for name, text in table.figures.items()))
    return "\n\n".join([*(b for b in blocks if b), "\n".join(table.notes)])


def _standing(points: dict[str, Any]) -> list[str]:
    """How the transfer stands against the rest, in sentences."""
    lines = []
    if points["dominated_by"]:
        lines.append(f"as good in both or better than the transfer: {', '.join(points['dominated_by'])}")
    else:
        lines.append("nothing else is as good as the transfer in both content and fit")
    if over := points.get("over_template"):
        said = ", ".join(f"{k} {over[k][0]:+.3f} ({_range(over[k][1:])})" for k in ("content", "fit"))
        lines.append(f"transfer less template: {said}")
    return lines


def _range(ends: Sequence[float]) -> str:
    return f"{ends[0]:.3f} to {ends[1]:.3f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = f"{cells[0]:{widths[0]}}"
    return (first + "".join(f"  {c:>{w}}" for c, w in zip(cells[1:], widths[1:], strict=True))).rstrip()
