"""Re-playing the drums of a piece in another style."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segue.metrics.style import DRUM_GROUPS
from segue.runtime import Model
from segue.score import TICKS_PER_QUARTER, Score, meters_from_zero, seconds_per_tick
from segue.stage import Record, Settings
from segue.transfer.drum_search import Task, write_drums
from segue.transfer.drum_tilt import agreement, controls, telling, telling_loudness
from segue.transfer.ensemble import join
from segue.transfer.form import phrases_to_replay
from segue.transfer.grid import Grid, beat_grid, grid_phase, in_pairs
from segue.transfer.kit import (
    CLASS_OF_PITCH,
    GRID_BITS,
    SKELETON_COLUMNS,
    STYLES,
    blend_profiles,
    hit_grid,
    hits_to_notes,
    profile_is_swung,
    sixteenths,
    style_profile,
    unit_features,
    unpack_profile,
)
from segue.transfer.patterns import unpack_patterns

#: Nats by which a pattern is favoured by what it adds to the cosine with the source's bar: where the source's
#: skeleton is kept, and more as intensity goes to 0.
_AGREEMENT, _AGREEMENT_PULL = 48.0, 48.0
#: Nats by which hits, and loudness, are favoured that are telling of the style.
_TELLING, _TELLING_LOUDNESS = 1.6, 3.0

Replayed = tuple[Score, list[dict[str, Any]], dict[str, Any]]


def named_style(model: Model, name: str) -> np.ndarray:
    """The profile of a style that the model knows by name, float32 (PROFILE,)."""
    return unpack_profile(model.card["styles"][name]["profile"])


def replay_drums(
    score: Score,
    record: Record,
    settings: Settings,
    model: Model,
    rng: np.random.Generator,
    profile: np.ndarray | None = None,
) -> Replayed:
    """The score, its list of track records and a report, with the drums in the style of `profile` (see
    `segue.transfer.kit`), or, without one, in `settings["drum_style"]`.

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
    notes, found = play_style(score, source, grid, settings, model, rng, profile)
    report |= found | adapted_meters(score, model, style if profile is None else None)

    replay_bar = phrases_to_replay(grid.bars, settings["amount"])
    note_bar = np.searchsorted(grid.bar_tick - 120, notes["onset_tick"], "right") - 1
    notes = notes[replay_bar[np.clip(note_bar, 0, grid.bars - 1)]]
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
    report["changed"] = {"notes_removed": removed, "notes_written": len(notes)}
    return score, tracks, report


def play_style(
    score: Score,
    source: np.ndarray,
    grid: Grid,
    settings: Settings,
    model: Model,
    rng: np.random.Generator,
    profile: np.ndarray | None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """NOTE array of new drums where the kit notes `source` sound; and a report: how many bars were played and
    repeated, and hits a beat in the bars that sound.
    """
    target = named_style(model, settings["drum_style"]) if profile is None else profile
    intensity = settings["intensity"]
    if intensity < 1:
        target = blend_profiles([(target, intensity), (style_profile(source, grid), 1 - intensity)])
    heard = sixteenths(hit_grid(source, grid)[..., 0])
    tempo = 60.0 / (seconds_per_tick(score, grid.unit_tick[:-1]) * TICKS_PER_QUARTER)
    follow = bool(settings["drum_skeleton"])
    features = unit_features(heard, grid, tempo)
    if not follow:
        features[:, SKELETON_COLUMNS] = 0
    struck = heard > 0
    bar_sounds = np.bincount(grid.unit_bar, struck.any(axis=(1, 2)), minlength=grid.bars) > 0
    alike = repeated_units(struck, grid)
    codebook = unpack_patterns(model.card["patterns"]["pattern"], GRID_BITS)
    known = [named_style(model, name) for name in STYLES]
    groups, swung = struck @ DRUM_GROUPS, profile_is_swung(target)
    pull = _AGREEMENT * follow + _AGREEMENT_PULL * (1 - intensity)
    own = telling(target, known, codebook)[in_pairs(grid)[0] % 4]
    tilt = pull * agreement(groups, codebook, grid, swung) + _TELLING * intensity * own
    task = Task(
        features=features,
        profile=target,
        codebook=codebook,
        tilt=(tilt + controls(codebook, settings)).astype(np.float32),
        loudness=_TELLING_LOUDNESS * intensity * telling_loudness(target, known),
        source=groups,
        swung=swung,
        follow=follow,
        wished=struck.sum(axis=(1, 2)) * 2.0 ** settings["density"],
        silent=~bar_sounds[grid.unit_bar],
        same_as=alike,
        grid=grid,
    )
    onsets, velocity, offset = write_drums(model, task, settings["temperature"], settings["strength"], rng)
    notes = hits_to_notes(onsets, velocity, offset, grid)
    repeated = len(np.unique(grid.unit_bar[alike >= 0]))
    bars = {"replayed": int(bar_sounds.sum()), "of": grid.bars, "repeated": repeated}
    units = max(int(bar_sounds[grid.unit_bar].sum()), 1)
    density = [round(len(part) / units, 2) for part in (source, notes)]
    return notes, {"bars": bars, "hits_a_beat": dict(zip(("source", "written"), density, strict=True))}


def repeated_units(struck: np.ndarray, grid: Grid) -> np.ndarray:
    """For each unit the unit of the first earlier bar that is the same in every hit, or -1; (units,).

    A bar is the same as another an even number of bars away: so a loop of one bar becomes one of two.
    `struck` (units, 4, classes) bool.
    """
    same = np.full(grid.units, -1)
    first_seen: dict[bytes, int] = {}
    first_unit = np.searchsorted(grid.unit_bar, np.arange(grid.bars + 1))
    packed = np.packbits(struck.reshape(grid.units, -1), axis=1)
    for bar in range(grid.bars):
        rows = slice(int(first_unit[bar]), int(first_unit[bar + 1]))
        key = packed[rows].tobytes() + bytes([int(grid.compound[rows.start]), bar % 2])
        earlier = first_seen.setdefault(key, rows.start)
        if earlier != rows.start:
            same[rows] = np.arange(earlier, earlier + rows.stop - rows.start)
    return same


def adapted_meters(score: Score, model: Model, style: str | None) -> dict[str, Any]:
    """`meters` of the report: those of the piece that the style was not learned from, and the rule for each.

    `style` is None for a profile without a name.
    """
    learned = set(model.card["styles"][style]["meters"]) if style else {"4/4"}
    found = []
    for meter in {m.name: m for m in meters_from_zero(score)}.values():
        if meter.name in learned or (meter.name in ("2/4", "2/2") and "4/4" in learned):
            continue
        if meter.denominator >= 8 and meter.numerator % 3 == 0 and meter.numerator > 3:
            rule = "each dotted beat takes a beat of four, as a shuffle"
        elif meter.numerator * 4 < 4 * meter.denominator:
            rule = "the bar takes the first beats of a bar of four"
        else:
            rule = "the beats beyond the fourth begin a bar of four anew"
        found.append({"meter": meter.name, "rule": rule})
    return {"meters_adapted": found} if found else {}
