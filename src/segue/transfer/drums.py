"""Re-playing the drums of a piece in a named style."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segue.runtime import Model
from segue.score import TICKS_PER_QUARTER, Score, seconds_per_tick
from segue.stage import Record, Settings
from segue.transfer.ensemble import join
from segue.transfer.grid import Grid, beat_grid, grid_phase
from segue.transfer.kit import (
    CLASS_OF_PITCH,
    CLASSES,
    GRID_BITS,
    LOUDNESS_CLASSES,
    SKELETON_COLUMNS,
    STYLES,
    hit_grid,
    hits_to_notes,
    unit_features,
    velocities,
)
from segue.transfer.patterns import unpack_patterns
from segue.transfer.walk import draw, phrases_to_replay, walk


def replay_drums(
    score: Score,
    record: Record,
    settings: Settings,
    model: Model,
    rng: np.random.Generator,
) -> tuple[Score, list[dict[str, Any]], dict[str, Any]]:
    """The score, its list of track records and a report, with the drums in `settings["drum_style"]`.

    Bars that are alike in the source stay alike. Percussion outside the kit (tambourine, congas, ...) stays.
    """
    tracks = [dict(entry) for entry in record["tracks"]]
    style = settings["drum_style"]
    report: dict[str, Any] = {"style": style, "replaced": []}
    drums = [
        i
        for i, (track, entry) in enumerate(zip(score.tracks, tracks, strict=True))
        if (track.is_drum or entry["role"] == "drums") and (CLASS_OF_PITCH[track.notes["pitch"]] >= 0).any()
    ]
    if not drums:
        return score, tracks, report | {"reason": "the piece has no drums"}
    kit = [CLASS_OF_PITCH[score.tracks[i].notes["pitch"]] >= 0 for i in drums]
    source = join([score.tracks[i].notes[k] for i, k in zip(drums, kit, strict=True)])
    grid = beat_grid(score, grid_phase(source["onset_tick"]))
    hits = hit_grid(source, grid)
    tempo = 60.0 / (seconds_per_tick(score, grid.unit_tick[:-1]) * TICKS_PER_QUARTER)
    features = unit_features(hits[..., 0], grid, style, tempo)
    if not settings["drum_skeleton"]:
        features[:, SKELETON_COLUMNS] = 0
    struck = hits[..., 0] > 0
    bar_sounds = np.bincount(grid.unit_bar, struck.any(axis=(1, 2)), minlength=grid.bars) > 0
    silent = ~bar_sounds[grid.unit_bar]
    alike = repeated_units(struck, grid)
    codebook = unpack_patterns(model.card["patterns"]["pattern"], GRID_BITS)
    codes, told = walk(
        model,
        features,
        {"pattern": codebook},
        silent,
        alike,
        settings["temperature"],
        settings["strength"],
        len(STYLES),
        rng,
    )
    shape = (grid.units, 4, len(CLASSES))
    onsets = codebook[codes["pattern"]].reshape(shape)
    played = told["performance"].reshape(grid.units, 2, 4, len(CLASSES)).astype(np.float64)
    logits = told["loudness"].reshape(grid.units, -1, LOUDNESS_CLASSES)
    loudness = draw(logits, settings["temperature"], rng)
    # A repeated bar takes over how it is played as well.
    first = np.where(alike >= 0, alike, np.arange(grid.units))
    played, loudness = played[first], loudness[first]
    replay_bar = phrases_to_replay(grid.bars, settings["amount"])
    onsets &= (~silent & replay_bar[grid.unit_bar])[:, None, None]
    offset = np.clip(np.round(played[:, 1], 2), -0.5, 0.5)
    notes = hits_to_notes(onsets, velocities(played[:, 0], loudness), offset, grid)

    removed = 0
    for i, inside in zip(drums, kit, strict=True):
        track = score.tracks[i]
        bar = np.searchsorted(grid.bar_tick, track.notes["onset_tick"] + 120, "right") - 1
        replayed = inside & replay_bar[np.clip(bar, 0, grid.bars - 1)]
        removed += int(replayed.sum())
        parts = [track.notes[~replayed], *([notes] if i == drums[0] else [])]
        score = score.with_track(i, replace(track, notes=join(parts)))
        tracks[i]["notes"] = len(score.tracks[i].notes)
        report["replaced"].append({"track": i, "name": track.name, "notes": int(replayed.sum())})
    report["bars"] = {"replayed": int((replay_bar & bar_sounds).sum()), "of": grid.bars}
    report["bars"]["repeated"] = len(np.unique(grid.unit_bar[alike >= 0]))
    report["changed"] = {"notes_removed": removed, "notes_written": len(notes)}
    return score, tracks, report


def repeated_units(struck: np.ndarray, grid: Grid) -> np.ndarray:
    """For each unit the unit of the first earlier bar that is the same in every hit, or -1; (units,).

    `struck` (units, 4, classes) bool.
    """
    same = np.full(grid.units, -1)
    first_seen: dict[bytes, int] = {}
    first_unit = np.searchsorted(grid.unit_bar, np.arange(grid.bars + 1))
    packed = np.packbits(struck.reshape(grid.units, -1), axis=1)
    for bar in range(grid.bars):
        rows = slice(int(first_unit[bar]), int(first_unit[bar + 1]))
        key = packed[rows].tobytes() + bytes([int(grid.compound[rows.start])])
        earlier = first_seen.setdefault(key, rows.start)
        if earlier != rows.start:
            same[rows] = np.arange(earlier, earlier + rows.stop - rows.start)
    return same
