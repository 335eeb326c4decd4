"""Every validation figure of the accompaniment model, beside its floors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from segue.chords import chords_of_record
from segue.metrics.bootstrap import interval_of_ratio
from segue.metrics.style import chroma_similarity
from segue.runtime import Model
from segue.score import bar_starts
from segue.transfer import apply
from segue.transfer.agreement import chord_agreement
from segue.transfer.ensemble import cut_repeats
from segue.transfer.instruments import program_range
from segue.transfer.profiles import HISTOGRAMS, notes_a_beat, part_chroma, part_histograms, part_prints
from segue.transfer.target import SWING
from segue.transfer.template import BarLibrary, Part, choose_bars, library, play, silent_bars
from training.transfer.pieces import Piece
from training.transfer.protocol import Measurement, Music, sample
from training.transfer.settings import stage_settings

MEASURES = HISTOGRAMS
#: Velocity is left out of the headline: only the pop data have any.
HEADLINE = ("interval", "duration")
#: Styles that are judged by a classifier of the two.
PAIRS = (("hymn", "pop"), ("chorale", "pop"), ("lied", "pop"))
_BARS = 48

Transfer = Callable[[Piece, str, int], Piece]


def shorten(piece: Piece, bars: int = _BARS) -> Piece:
    """The first `bars` bars of a piece."""
    starts = bar_starts(piece.score)
    if len(starts) <= bars + 1:
        return piece
    end = int(starts[bars])
    tracks = tuple(t.with_notes(t.notes[t.notes["onset_tick"] < end]) for t in piece.score.tracks)
    meters = tuple(m for m in piece.score.meters if m.tick < end)
    chords = [c for c in piece.record["chords"] if c["tick"] < end]
    return replace(
        piece,
        score=replace(piece.score, tracks=tracks, meters=meters),
        record=piece.record | {"chords": chords},
    )


def transferred(
    piece: Piece, models: Mapping[str, Model], style: str, seed: int, /, **settings: object
) -> Piece:
    """The piece after the stage, as a piece again (its accompaniment is what the stage wrote)."""
    result = apply(piece.score, piece.record, stage_settings(style=style, **settings), models, seed)
    return replace(piece, score=result.score, record=piece.record | result.record, style=style)


def part_of(piece: Piece) -> Part:
    """The accompaniment with its bars and chords."""
    return Part(piece.accompaniment, bar_starts(piece.score), *chords_of_record(piece.record))


def in_template(piece: Piece, of: BarLibrary, style: str, seed: int) -> Piece:
    """The piece with its accompaniment made of bars of the library; silent bars stay silent."""
    part = part_of(piece)
    chosen = choose_bars(part, of, silent_bars(part), np.random.default_rng(seed))
    track = piece.score.tracks[1].with_notes(cut_repeats(play(part, chosen, of)))
    score = replace(piece.score, tracks=(piece.score.tracks[0], track))
    return replace(
        piece, score=score, record=piece.record | {"tracks": piece.record["tracks"][:2]}, style=style
    )


def music_of(train: Sequence[Piece], styles: Sequence[str], transfer: Transfer) -> Music:
    """How accompaniments are measured; templates are made of `train`."""

    @cache
    def bars_of(style: str) -> BarLibrary:
        return library(part_of(p) for p in train if p.style == style)

    return Music(
        styles=styles,
        measures=MEASURES,
        headline=HEADLINE,
        pairs=[pair for pair in PAIRS if set(pair) <= set(styles)],
        histograms=lambda piece: part_histograms(piece.accompaniment, piece.score),
        content=lambda piece: part_chroma(piece.accompaniment, piece.score),
        similarity=chroma_similarity,
        prints=lambda piece: part_prints(piece.accompaniment, piece.score),
        density=lambda piece: notes_a_beat(piece.accompaniment, piece.score),
        bars=lambda piece: len(bar_starts(piece.score)) - 1,
        transfer=transfer,
        template=lambda piece, style, seed: in_template(piece, bars_of(style), style, seed),
        excerpt=shorten,
    )


def measure_accompaniment(
    pieces: Sequence[Piece], styles: Sequence[str], transfer: Transfer, per_style: int
) -> Measurement:
    """Transfers of up to `per_style` validation pieces of each style (48 bars at most) to all styles.

    Templates know the whole training pieces, classifiers and targets as many bars of each.
    """
    pieces = [p for p in pieces if p.style in styles]
    train = [p for p in pieces if not p.is_validation]
    held = [shorten(p) for p in pieces if p.is_validation]
    sources = validation_sources(pieces, styles, per_style)
    return Measurement(train, held, sources, music_of(train, styles, transfer))


def validation_sources(pieces: Sequence[Piece], styles: Sequence[str], per_style: int) -> list[Piece]:
    """Up to `per_style` validation pieces of each style, 48 bars at most."""
    held = [p for p in pieces if p.is_validation]
    return [shorten(p) for p in sample(held, styles, per_style, np.random.default_rng(0))]


def evaluate(
    pieces: Sequence[Piece],
    models: Mapping[str, Model],
    styles: Sequence[str],
    per_style: int = 14,
    **settings: object,
) -> tuple[dict, dict]:
    """Points by target style, and the classifier's figures, of the stage with these models and settings."""

    def transfer(piece: Piece, style: str, seed: int) -> Piece:
        return transferred(piece, models, style, seed, **settings)

    return measure_accompaniment(pieces, styles, transfer, per_style).headlines()


def agreement(measured: Measurement, harmony: Model) -> dict[str, Any]:
    """By style, in what share of the beats the model `harmony` hears the chord that was meant: in what was
    written in the style, in the sources that are of the style, and in templates of the style.
    """
    out: dict[str, Any] = {}
    music = measured.music
    for style in (*music.styles, "all"):
        chosen = [m for m in measured.made if style in (m.target, "all")]
        kinds = {
            "written": [(m.there, m.source) for m in chosen],
            "template": [
                (music.template(measured.sources[m.source], m.target, m.source), m.source) for m in chosen
            ],
            "sources": [(p, i) for i, p in enumerate(measured.sources) if style in (p.style, "all")],
        }
        out[style] = {}
        for name, pieces in kinds.items():
            counts = np.array([chord_agreement(p.score, p.record, harmony) for p, _ in pieces])
            piece = np.unique([i for _, i in pieces], return_inverse=True)[1]
            out[style] |= _share(name, *(np.bincount(piece, column) for column in counts.T))
    return out


def swing_agreement(sources: Sequence[Piece], harmony: Model, **settings: object) -> dict[str, Any]:
    """By style of the sources, and for all, the same of what the band of the style `swing` plays of them."""
    counts = np.array(
        [
            [
                chord_agreement(p.score, p.record, harmony)
                for p in (transferred(piece, {}, SWING, i, **settings), piece)
            ]
            for i, piece in enumerate(sources)
        ]
    )
    out: dict[str, Any] = {}
    for style in (*dict.fromkeys(p.style for p in sources), "all"):
        own = counts[[style in (p.style, "all") for p in sources]]
        out[style] = {"pieces": len(own), **_share("swing", *own[:, 0].T), **_share("sources", *own[:, 1].T)}
    return out


def _share(name: str, right: np.ndarray, beats: np.ndarray) -> dict[str, Any]:
    """The share of beats that are `right` (pieces,) with its interval."""
    right, beats = right[beats > 0], beats[beats > 0]
    return {
        name: round(float(right.sum() / beats.sum()), 4),
        f"{name} interval": [round(v, 4) for v in interval_of_ratio(right, beats)],
    }


def in_range(measured: Measurement) -> dict[str, Any]:
    """By style, notes written, and the share of them in the range of the instrument that plays them."""
    out = {}
    for style in measured.music.styles:
        inside = written = 0
        for track in (t for m in measured.made if m.target == style for t in m.there.score.tracks[1:]):
            low, high = program_range(track.program)
            written += len(track.notes)
            inside += int(((track.notes["pitch"] >= low) & (track.notes["pitch"] <= high)).sum())
        out[style] = {"notes": written, "in_range": round(inside / max(written, 1), 5)}
    return out
