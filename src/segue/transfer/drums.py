"""Re-playing the drums of a piece in another style."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segue.runtime import Model
from segue.score import TICKS_PER_QUARTER, Score, meters_from_zero, seconds_per_tick
from segue.stage import Record, Settings
from segue.transfer.drum_search import Task, write_drums
from segue.transfer.ensemble import join
from segue.transfer.form import phrases_to_replay
from segue.transfer.grid import Grid, beat_grid, grid_phase, in_pairs
from segue.transfer.kit import (
    BEAT_STEPS,
    CLASS_OF_PITCH,
    CLASSES,
    DRUM_BINS,
    GRID_BITS,
    SKELETON_COLUMNS,
    SNARE,
    STYLES,
    blend_profiles,
    hit_grid,
    hits_to_notes,
    on_beats,
    profile_is_swung,
    sixteenths,
    style_profile,
    unit_features,
    unpack_profile,
)
from segue.transfer.patterns import unpack_patterns

#: Kick; snare and toms; hats and cymbals, over CLASSES.
_GROUPS = np.eye(3)[[0, 1, 2, 2, 1, 1, 1, 2, 2]]
#: Nats by which a pattern is favoured that sounds like the source's beat, always and at intensity 0.
_LIKENESS, _LIKENESS_PULL = 1.0, 6.0
#: Nats by which what is telling of a style is favoured; hits this rare everywhere tell nothing, and the most
#: that one tells.
_TELLING, _RARE, _MOST_TELLING = 1.3, 3e-4, 1.5
#: Nats a standard deviation over the patterns at either end of a control.
_CONTROL = 1.5

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
    """NOTE array of new drums where the kit notes `source` sound, and how many bars were played and
    repeated.
    """
    target = named_style(model, settings["drum_style"]) if profile is None else profile
    intensity = settings["intensity"]
    if intensity < 1:
        target = blend_profiles([(target, intensity), (style_profile(source, grid), 1 - intensity)])
    heard = sixteenths(hit_grid(source, grid)[..., 0])
    tempo = 60.0 / (seconds_per_tick(score, grid.unit_tick[:-1]) * TICKS_PER_QUARTER)
    features = unit_features(heard, grid, tempo)
    if not settings["drum_skeleton"]:
        features[:, SKELETON_COLUMNS] = 0
    struck = heard > 0
    bar_sounds = np.bincount(grid.unit_bar, struck.any(axis=(1, 2)), minlength=grid.bars) > 0
    silent = ~bar_sounds[grid.unit_bar]
    alike = repeated_units(struck, grid)
    codebook = unpack_patterns(model.card["patterns"]["pattern"], GRID_BITS)
    likeness = _likeness(struck, codebook, profile_is_swung(target))
    pull = _LIKENESS * settings["drum_skeleton"] + _LIKENESS_PULL * (1 - intensity)
    own = _telling(target, model, codebook)[in_pairs(grid)[0] % 4]
    tilt = pull * likeness + _TELLING * intensity * own + _controls(codebook, settings)
    task = Task(features, target, codebook, tilt.astype(np.float32), likeness, silent, alike, grid)
    onsets, velocity, offset = write_drums(
        model, task, settings["temperature"], settings["strength"], bool(settings["drum_skeleton"]), rng
    )
    notes = hits_to_notes(onsets, velocity, offset, grid)
    repeated = len(np.unique(grid.unit_bar[alike >= 0]))
    return notes, {"bars": {"replayed": int(bar_sounds.sum()), "of": grid.bars, "repeated": repeated}}


def _likeness(struck: np.ndarray, codebook: np.ndarray, swung: bool) -> np.ndarray:
    """How much each pattern sounds like the source's beat: cosines of hits by sixteenth in three groups of
    drums, float64 (units, patterns); rounded, and 0 where one of them is silent.
    """
    hits = codebook.reshape(-1, BEAT_STEPS, len(CLASSES)).astype(np.float64)
    # An empty beat after each pattern takes what belongs to the next one.
    apart = np.stack([hits, np.zeros_like(hits)], axis=1).reshape(-1, *hits.shape[1:])
    parts = (struck.astype(float), sixteenths(apart, swung)[::2])
    units = [(part @ _GROUPS).reshape(len(part), -1) for part in parts]
    a, b = (part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-9) for part in units)
    return np.round(a @ b.T, 4)


def _telling(profile: np.ndarray, model: Model, codebook: np.ndarray) -> np.ndarray:
    """How telling each pattern is of the style on each beat of a bar of four, (4, patterns): the sum over its
    hits of the log ratio of how often the style and how often all known styles strike this drum there.
    """
    counts = [on_beats(np.square(p[:DRUM_BINS].astype(np.float64))) for p in (profile, *_known(model))]
    here, anywhere = (c.reshape(4, -1) + _RARE for c in (counts[0], np.mean(counts[1:], axis=0)))
    ratio = np.clip(np.log(here / anywhere), -_MOST_TELLING, _MOST_TELLING).reshape(4, BEAT_STEPS, -1)
    ratio[:, 1], ratio[:, -1] = ratio[:, 0], np.roll(ratio[:, 0], -1, axis=0)
    return np.round(ratio.reshape(4, -1) @ codebook.T.astype(np.float64), 4)


def _known(model: Model) -> list[np.ndarray]:
    return [named_style(model, name) for name in STYLES]


def _controls(codebook: np.ndarray, settings: Settings) -> np.ndarray:
    """What the controls (-1..1) add to the logit of each pattern, (patterns,): nats by standard deviations of
    hits, of hits finer than eighths and of different drums, and of kicks and snares off the beat less those
    on it. The latter
    two are counted beside the number of hits, so that they do not merely add notes.
    """
    hits = codebook.reshape(-1, BEAT_STEPS, len(CLASSES)).astype(np.float64)
    count = hits.sum(axis=(1, 2))
    fine = np.delete(hits, [0, 6, 8], axis=1).sum(axis=(1, 2)) + hits.any(axis=1).sum(axis=1)
    strong = hits[:, :, : SNARE + 1].sum(axis=2)
    off = strong[:, 2:11].sum(axis=1) - strong[:, :2].sum(axis=1)
    slope = [float(np.cov(count, part)[0, 1] / count.var(ddof=1)) for part in (fine, off)]
    rows = [count, fine - slope[0] * count, off - slope[1] * count]
    wanted = [settings[name] for name in ("density", "complexity", "syncopation")]
    return _CONTROL * sum(w * (r - r.mean()) / r.std() for w, r in zip(wanted, rows, strict=True))


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
