"""How the melody model fares on a folder of your own pieces, beside its reference and two floors.

Conventions
-----------
- Of a piece the melody is measured that the stage would complete, as the stage sees it: the track that it
  finds, its top line on the grid, in the key of the record; of several meters the longest stretch.
- The networks know neither chords nor, with `style: auto`, the style.
- The Markov chain has learnt from the other pieces of the folder alone: with up to `FOLDS` pieces each is
  left out in turn, with more a tenth of them at a time.
- Metrics: `segue.complete.evaluate`. Candidates of a ranking are from the other pieces, one each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from segue.complete.encoding import DURATIONS, PITCH_TOKENS, Events, Setting
from segue.complete.evaluate import (
    Candidate,
    Figures,
    at_continuations,
    at_gaps,
    better,
    chain_at_places,
    chain_on_tunes,
    repetition_at_places,
    repetition_on_tunes,
    summary,
    whole_tunes,
)
from segue.complete.judge import Judge
from segue.complete.line import melody_lines, melody_track
from segue.complete.overlap import overlaps
from segue.complete.places import (
    CANDIDATES,
    CONTINUATION_BARS,
    GAP_BARS,
    Query,
    Tune,
    continuations,
    draw_queries,
    gaps,
    pairs,
)
from segue.complete.tracker import encode
from segue.metrics.markov import MarkovChain
from segue.score import Score
from segue.stage import Record, Settings, StageError

FOLDS = 10
#: Places that are ranked, and of those how many are written on from.
PLACES, WRITTEN = 200, 100
#: Fewest notes of a melody that says anything.
LEAST_NOTES = 12
REFERENCE = "reference"
REFERENCE_MODEL = "melody-reference"


@dataclass(frozen=True)
class Piece:
    """The melody of a piece, see `segue.complete.places.Tune`."""

    name: str
    corpus: str
    setting: Setting
    events: Events
    rows: np.ndarray


@dataclass(frozen=True)
class MelodyTable:
    """Rows by part of the table and approach, and what is to be said of them."""

    parts: dict[str, dict[str, dict[str, float]]]
    notes: list[str]


def melody_piece(name: str, score: Score, record: Record, settings: Settings) -> Piece:
    """The melody that the stage would complete. Raises `StageError` where there is none, and why."""
    index, reason = melody_track(score, record, settings["track"])
    if index is None:
        raise StageError(reason)
    if not record.get("key"):
        raise StageError("the key is unknown")
    style = None if settings["style"] == "auto" else settings["style"]
    lines = melody_lines(score, score.tracks[index], record["key"], style)
    line = max(lines, key=len, default=None)
    if line is None or len(line) < LEAST_NOTES:
        raise StageError(f"the melody has fewer than {LEAST_NOTES} notes in one meter")
    return Piece(name, "", line.setting, line.events, encode(line.events, line.setting))


def melody_table(
    pieces: Sequence[Piece], ours: Judge, reference: Judge, style: bool, seed: int
) -> MelodyTable:
    """The table over at least one piece; `style` says that the networks are told the style."""
    networks = {"segue": Candidate(ours, style, ahead=True), REFERENCE: Candidate(reference, style)}
    chain_of, note = _chains(pieces)
    notes = [f"{len(pieces)} pieces, {sum(len(p.events) for p in pieces):,} notes and rests", note]
    tunes = {name: whole_tunes(candidate, pieces) for name, candidate in networks.items()}
    if chain_of:
        tunes["markov"] = chain_on_tunes(chain_of, pieces)
    tunes["repetition"] = repetition_on_tunes(pieces)
    parts = {"next note": {name: summary(own) for name, own in tunes.items()}}
    places = draw_queries(pieces, continuations, PLACES, seed)
    if places:
        found = at_continuations(networks, places)
        parts["next four bars"] = _ranked(found, chain_of, places, CONTINUATION_BARS)
        notes.append(_say_places("next four bars", places))
    holes = draw_queries(pieces, gaps, PLACES, seed)
    if holes:
        parts["two-bar gaps"] = _ranked(at_gaps(networks, holes), chain_of, holes, GAP_BARS)
        notes.append(_say_places("two-bar gaps", holes))
        notes.append(
            f"in gaps {REFERENCE}, which goes one way, is asked for the fill and for fill and music after "
            "it; the better figure counts"
        )
    if not places or not holes:
        notes.append("a ranking needs two pieces in one meter that are long enough")
    cuts = [query.cut for query in places[:: max(-(-len(places) // WRITTEN), 1)]]
    if cuts and chain_of:
        areas = overlaps(networks, chain_of, cuts, seed)
        parts["overlap of four bars"] = {
            name: {key: float(np.nanmean(values)) for key, values in own.items()}
            for name, own in areas.items()
        }
    return MelodyTable(parts, [line for line in notes if line])


def _ranked(
    found: dict[str, tuple[Figures, ...]],
    chain_of: Callable[[Tune], MarkovChain] | None,
    queries: list[Query],
    bars: int,
) -> dict[str, dict[str, float]]:
    rows = {name: better([summary(way) for way in ways]) for name, ways in found.items()}
    if chain_of:
        rows["markov"] = summary(chain_at_places(chain_of, queries))
    rows["repetition"] = summary(repetition_at_places(queries, bars))
    return rows


def _chains(pieces: Sequence[Piece]) -> tuple[Callable[[Tune], MarkovChain] | None, str]:
    """The Markov chain that answers for a piece, and what to say of it."""
    if len(pieces) == 1:
        return None, "no markov row: the chain learns from the other pieces, and there are none"
    folds = min(len(pieces), FOLDS)
    fold = {id(piece): i % folds for i, piece in enumerate(pieces)}
    melodies = [(fold[id(piece)], pairs(piece)) for piece in pieces]
    chains = [
        MarkovChain("factored", PITCH_TOKENS, len(DURATIONS)).fit(m for k, m in melodies if k != out)
        for out in range(folds)
    ]
    left = "each piece" if folds == len(pieces) else "each tenth of the pieces"
    note = f"markov: an order-2 chain, for {left} learnt from the others"
    return lambda tune: chains[fold[id(tune)]], note


def _say_places(name: str, queries: list[Query]) -> str:
    fewest, most = (f([len(query.candidates) for query in queries]) for f in (min, max))
    among = str(most) if fewest == most else f"{fewest} to {most}"
    few = "" if fewest == CANDIDATES else f" ({CANDIDATES} need as many pieces in one meter)"
    return f"{name}: {len(queries)} places, each among {among}{few}"


_COLUMNS = {
    "next note": {
        "nats a note": "nats_per_note",
        "pitch": "pitch",
        "duration": "duration",
        "top-1": "top_1",
        "top-1 pitch": "top_1_pitch",
        "top-1 duration": "top_1_duration",
    },
    "next four bars": {"HITS@1": "hits@1", "HITS@5": "hits@5", "MAP": "map"},
    "two-bar gaps": {
        "nats a note": "nats_per_note",
        "top-1": "top_1",
        "HITS@1": "hits@1",
        "HITS@5": "hits@5",
        "MAP": "map",
    },
    "overlap of four bars": {
        "pitch class": "pitch_class",
        "interval": "interval",
        "onset interval": "ioi",
        "duration": "duration",
    },
}


def table_text(table: MelodyTable) -> str:
    """The table for a terminal: one block a part, one row an approach."""
    blocks = []
    for part, rows in table.parts.items():
        columns = _COLUMNS[part]
        lines = [f"{part:21}" + "".join(f"{name:>16}" for name in columns)]
        for name, row in rows.items():
            cells = (format(row[key], ".3f") if key in row else "-" for key in columns.values())
            lines.append(f"  {name:19}" + "".join(f"{cell:>16}" for cell in cells))
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, "\n".join(table.notes)])
