"""How near chords come to those that people wrote: the figures over pieces, and their table.

Conventions
-----------
- *24 + N*: what is predicted is reduced to the nearest of 24 triads and no chord, the reference as
  `mir_eval.chord.majmin` has it. The other chord columns compare what is written (`segue.metrics.harmony`).
- *heard* is the same over the beats from the first to the last note that the row hears: before and after it
  the stage can only guess.
- A piece's key is the one that holds for most of its beats; local keys are compared by the beat.
- Intervals are 95 % bootstrap intervals over pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from segue.chords import Chord, nearest_majmin_class
from segue.harmonize.evaluate_folder import ALL, HUMAN, MELODY, Piece
from segue.metrics import harmony as metrics
from segue.metrics.bootstrap import interval_of_ratio


@dataclass(frozen=True)
class HarmonyTable:
    """Rows by part of the table and name, and what is to be said of them."""

    parts: dict[str, dict[str, dict[str, Any]]]
    notes: list[str] = field(default_factory=list)


def harmony_table(pieces: Sequence[Piece]) -> HarmonyTable:
    """The table over at least one piece: those with a reference, and the others by themselves."""
    known = [piece for piece in pieces if piece.truth is not None]
    others = [piece for piece in pieces if piece.truth is None]
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    notes = []
    if known:
        order = dict.fromkeys(name for piece in known for name in piece.answers)
        ranked = sorted(order, key=lambda name: (name.startswith("floor"), name != MELODY))
        parts["chords"] = {name: chord_figures(known, name) for name in ranked}
        parts["chords"][HUMAN] = _human_changes(known)
        parts["chords and melody"] = _quality_rows(known, [MELODY, ALL, HUMAN])
        keys = sum(piece.truth.key >= 0 for piece in known)
        notes.append(f"{_count(known)} with chords of their own, {keys} of them with keys")
    if others:
        heading = "chords and melody" if not known else "without a reference"
        parts[heading] = _quality_rows(others, [MELODY, ALL])
        notes.append(f"{_count(others)} without chords of their own, so nothing says what is right")
    if placed := sum(piece.on_its_beats for piece in pieces):
        notes.append(f"{placed} of the pieces are heard on the beats and bars that a file beside them tells")
    unread = dict.fromkeys(label for piece in known for label in piece.unread)
    if unread:
        notes.append(f"labels that are no chord and not counted: {', '.join(unread)}")
    return HarmonyTable(parts, notes)


def _count(pieces: Sequence[Piece]) -> str:
    return f"{len(pieces)} piece" + "s" * (len(pieces) != 1)


def chord_figures(pieces: Sequence[Piece], name: str) -> dict[str, Any]:
    """The figures of one row over the pieces that have it, shares in 0..1; what is unknown is left out."""
    found = [(p, p.truth, p.answers[name]) for p in pieces if p.truth and name in p.answers]
    figures: dict[str, Any] = {"pieces": len(found)}
    spoken = [(p, t, a) for p, t, a in found if a.chords is not None]
    if spoken:
        truth = [t.classes for _, t, _ in spoken]
        guess = [np.array([nearest_majmin_class(c) for c in a.chords]) for _, _, a in spoken]
        right = np.array([((t == g) & (t >= 0)).sum() for t, g in zip(truth, guess, strict=True)])
        counted = np.array([(t >= 0).sum() for t in truth])
        figures |= {"beats": int(counted.sum()), "changes": _changes([(p, a.chords) for p, _, a in spoken])}
        if counted.any():
            figures |= {"accuracy": right.sum() / counted.sum(), "interval": _interval(right, counted)}
        labels = [label for _, t, _ in spoken for label in t.labels]
        written = [chord.harte() for _, _, a in spoken for chord in a.chords]
        for reduction in ("sevenths", "majmin_inv", "sevenths_inv"):
            figures[reduction] = metrics.reduced_accuracy(labels, written, reduction)[0]
        spans = [a.heard for _, _, a in spoken if a.heard is not None]
        if len(spans) == len(spoken):
            inside = [np.where(h, t, -1) for h, t in zip(spans, truth, strict=True)]
            figures["heard"] = metrics.class_accuracy(np.concatenate(inside), np.concatenate(guess))
    known = [(t.classes, a.log_p) for _, t, a in found if a.log_p is not None]
    if known:
        classes, log_p = (np.concatenate(both) for both in zip(*known, strict=True))
        figures["nll"] = metrics.negative_log_likelihood(classes, log_p)
    keyed = [(t, a) for _, t, a in found if t.key >= 0 and a.key is not None]
    if keyed:
        keys = metrics.key_scores([t.key for t, _ in keyed], [a.key for _, a in keyed])
        figures["key_weighted"], figures["key"] = keys
        truth, guess = (np.concatenate(x) for x in ([t.keys for t, _ in keyed], [a.keys for _, a in keyed]))
        figures["local_key"] = metrics.key_scores(truth, guess)[1]
    return {k: v for k, v in figures.items() if not isinstance(v, float) or np.isfinite(v)}


def _interval(right: np.ndarray, counted: np.ndarray) -> tuple[float, float]:
    """Pieces without a counted beat say nothing, and a draw of them alone would be no number."""
    return interval_of_ratio(right[counted > 0], counted[counted > 0])


def _changes(spoken: Sequence[tuple[Piece, list[Chord]]]) -> float:
    """Changes of chord a bar; bars of one beat tell nothing of the meter and count as quarters of one."""
    changes = sum(sum(a != b for a, b in pairwise(chords)) for _, chords in spoken)
    bars = sum(float((1 / piece.grid.bar_beats).sum()) for piece, _ in spoken)
    return changes / max(bars, 1e-9)


def _human_changes(pieces: Sequence[Piece]) -> dict[str, Any]:
    return {"pieces": len(pieces), "changes": _changes([(p, p.truth.chords) for p in pieces if p.truth])}


def _quality_rows(pieces: Sequence[Piece], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    rows = {}
    for name in names:
        of = [(p, _chords_of(p, name)) for p in pieces]
        found = [metrics.quality(*p.melody, chords) for p, chords in of if chords is not None]
        if found:
            mean = metrics.mean_quality(found)
            rows[name] = {"pieces": len(found), **{k: v for k, v in mean.items() if np.isfinite(v)}}
    return rows


def _chords_of(piece: Piece, name: str) -> list[Chord] | None:
    if name == HUMAN:
        return piece.truth.chords if piece.truth else None
    return piece.answers[name].chords if name in piece.answers else None


def _percent(value: float) -> str:
    return format(100 * value, ".2f")


def _range(value: tuple[float, float]) -> str:
    return f"{_percent(value[0])} to {_percent(value[1])}"


def _three(value: float) -> str:
    return format(value, ".3f")


def _whole(value: float) -> str:
    return format(value, ",")


_Columns = dict[str, tuple[str, Callable[[Any], str]]]
_CHORD_COLUMNS: _Columns = {
    "pieces": ("pieces", _whole),
    "beats": ("beats", _whole),
    "24+N %": ("accuracy", _percent),
    "95 % interval": ("interval", _range),
    "heard %": ("heard", _percent),
    "7ths %": ("sevenths", _percent),
    "24+N inv": ("majmin_inv", _percent),
    "7ths inv": ("sevenths_inv", _percent),
    "NLL": ("nll", _three),
    "key %": ("key", _percent),
    "weighted": ("key_weighted", _percent),
    "local %": ("local_key", _percent),
    "changes": ("changes", lambda value: format(value, ".2f")),
}
_QUALITY_COLUMNS: _Columns = {
    "pieces": ("pieces", _whole),
    **{name: (name, _three) for name in ("CHE", "CC", "CTD", "CTnCTR", "PCS", "MCTD")},
}


def table_text(table: HarmonyTable) -> str:
    """The table for a terminal: one block a part, one row an approach."""
    blocks = []
    for part, rows in table.parts.items():
        columns = _CHORD_COLUMNS if part == "chords" else _QUALITY_COLUMNS
        cells = [
            [name, *(show(row[key]) if key in row else "-" for key, show in columns.values())]
            for name, row in rows.items()
        ]
        heads = [part, *columns]
        widths = [max(len(row[i]) for row in [heads, *cells]) for i in range(len(heads))]
        widths[0] += 2
        lines = [f"{part:{widths[0]}}" + _line(heads[1:], widths[1:])]
        lines += ["  " + f"{row[0]:{widths[0] - 2}}" + _line(row[1:], widths[1:]) for row in cells]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, "\n".join(table.notes)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
