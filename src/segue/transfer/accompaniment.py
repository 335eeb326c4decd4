"""Re-playing the pitched accompaniment of a piece in a named style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segue.chords import Chord, chords_of_record
from segue.runtime import Model
from segue.score import Score, Track, make_notes
from segue.stage import Record, Settings
from segue.transfer.encoding import (
    CELLS,
    HAND_SLOTS,
    LENGTHS,
    STYLES,
    VELOCITY_SCALE,
    chords_of_steps,
    join_hands,
    source_features,
    unit_features,
)
from segue.transfer.ensemble import ENSEMBLES, deal, free_channels, join
from segue.transfer.grid import STEP_TICKS, UNIT_STEPS, Grid, grid_phase, sixteenth_grid
from segue.transfer.patterns import unpack_patterns
from segue.transfer.slots import HAND_SPLIT, pitches_from_slots
from segue.transfer.walk import draw, phrases_to_replay, walk

_HANDS = ("low", "high")
#: Mean velocity where there is no source to take it from.
_PLAIN_VELOCITY = 70.0
#: An `other` track is accompaniment when at least this share of its notes sounds with another one's onset.
_HARMONIC_SHARE = 0.3

Replayed = tuple[Score, list[dict[str, Any]], dict[str, Any]]


def replay_accompaniment(
    score: Score, record: Record, settings: Settings, model: Model, rng: np.random.Generator
) -> Replayed:
    """The score, its list of track records and a report, with the accompaniment in `settings["style"]`."""
    tracks = [dict(entry) for entry in record["tracks"]]
    replaced, melodies, kept = choose_tracks(score, tracks, bass=settings["bass"])
    report: dict[str, Any] = {"style": settings["style"], "replaced": [], "skipped": kept}
    if not any(len(t.notes) and not _is_drums(e) for t, e in zip(score.tracks, tracks, strict=True)):
        return score, tracks, report | {"reason": "the piece has no pitched notes"}
    starts, chords = _distinct_chords(*chords_of_record(record))
    if not any(c.is_chord for c in chords):
        return score, tracks, report | {"reason": "the record holds no chords; switch the harmonize stage on"}

    if not replaced and any(_is_harmonic(score.tracks[i]) for i in melodies):
        reason = (
            "the melody's track plays its own chords; put melody and accompaniment in tracks of their own"
        )
        return score, tracks, report | {"reason": reason}

    source = join([score.tracks[i].notes for i in replaced])
    melody = join([score.tracks[i].notes for i in melodies])
    phase = grid_phase(np.concatenate([source["onset_tick"], melody["onset_tick"]]))
    grid = sixteenth_grid(score, phase)
    step_chord = chords_of_steps(grid, starts)
    has_chord = np.array([c.is_chord for c in chords] + [False])[step_chord]
    heard = source_features(source, grid)
    features = unit_features(grid, step_chord, chords, melody, heard, settings["style"])

    replay_bar = phrases_to_replay(grid.bars, settings["amount"])
    chorded = np.bincount(grid.unit_bar[grid.step_unit], has_chord, minlength=grid.bars) > 0
    replay_bar &= chorded
    silent = (heard[:, 4] > 0) & (heard[:, 5] > 0) | ~chorded[grid.unit_bar]
    codebooks = {
        hand: unpack_patterns(model.card["patterns"][hand], UNIT_STEPS * slots)
        for hand, slots in zip(_HANDS, HAND_SLOTS, strict=True)
    }
    codes, told = walk(
        model,
        features,
        codebooks,
        silent,
        np.full(grid.units, -1),
        settings["temperature"],
        settings["strength"],
        len(STYLES),
        rng,
    )
    onsets = join_hands(*(codebooks[hand][codes[hand]] for hand in _HANDS))
    onsets[silent] = False
    logits = told["lengths"].reshape(grid.units, CELLS, len(LENGTHS))
    held = draw(logits, settings["temperature"], rng)
    if not settings["bass"] and any(e["role"] == "bass" for e in tracks):
        onsets[:, :, :HAND_SPLIT] = False
    level = float(source["velocity"].mean()) if len(source) else _PLAIN_VELOCITY
    notes, high_hand = _sound(
        onsets,
        told["performance"],
        LENGTHS[held],
        grid,
        step_chord,
        has_chord,
        starts,
        chords,
        record.get("key"),
        level,
        replay_bar,
    )
    report["bars"] = {"replayed": int(replay_bar.sum()), "of": grid.bars}
    if not len(source):
        report["note"] = "the piece had no accompaniment; one was written"
    elif not melodies:
        report["note"] = "no melody was found, so nothing but single lines was kept"
    if phase:
        report["phase_ticks"] = phase
    drop = [] if settings["keep_melody"] else melodies
    return _assemble(
        score, tracks, replaced, drop, deal(notes, high_hand, settings["style"]), grid, replay_bar, report
    )


def choose_tracks(
    score: Score, tracks: Sequence[dict[str, Any]], bass: bool
) -> tuple[list[int], list[int], list[dict[str, Any]]]:
    """Indices of the tracks to re-play and of the melodies, and what is left alone with the reason."""
    replaced: list[int] = []
    melodies: list[int] = []
    kept: list[dict[str, Any]] = []
    for i, (track, entry) in enumerate(zip(score.tracks, tracks, strict=True)):
        if _is_drums(entry) or track.is_drum or len(track.notes) == 0:
            continue
        role = entry["role"]
        if role == "melody":
            melodies.append(i)
        elif role == "chords" or (role == "bass" and bass):
            replaced.append(i)
        elif role == "bass":
            kept.append({"track": i, "reason": "bass is off"})
        elif _is_harmonic(track):
            replaced.append(i)
        else:
            kept.append({"track": i, "reason": "a single line of its own, not an accompaniment"})
    return replaced, melodies, kept


def _is_drums(entry: dict[str, Any]) -> bool:
    return entry["role"] == "drums"


def _is_harmonic(track: Track) -> bool:
    onset = track.notes["onset_tick"]
    near = np.diff(onset) <= STEP_TICKS // 8
    together = np.zeros(len(onset), bool)
    together[1:] |= near
    together[:-1] |= near
    return bool(together.mean() >= _HARMONIC_SHARE)


def _distinct_chords(starts: np.ndarray, chords: list[Chord]) -> tuple[np.ndarray, list[Chord]]:
    """The chords with repetitions joined."""
    keep = [i for i in range(len(chords)) if i == 0 or chords[i] != chords[i - 1]]
    return starts[keep], [chords[i] for i in keep]


def _sound(
    onsets: np.ndarray,
    played: np.ndarray,
    held: np.ndarray,
    grid: Grid,
    step_chord: np.ndarray,
    has_chord: np.ndarray,
    starts: np.ndarray,
    chords: Sequence[Chord],
    key: dict[str, Any] | None,
    level: float,
    replay_bar: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """NOTE array of the chosen patterns, and True where a note is the high hand's, both (n,).

    `played` (units, CELLS) are velocities as the network tells them, `held` lengths in sixteenths of the same
    shape, `level` the mean velocity.
    """
    table = grid.table()
    unit, place, slot = np.nonzero(onsets & (table >= 0)[:, :, None])
    step = table[unit, place]
    good = has_chord[step] & replay_bar[grid.unit_bar[unit]]
    unit, place, slot, step = unit[good], place[good], slot[good], step[good]
    chord = step_chord[step]
    tonic, minor = (int(key["tonic"]), key["mode"] == "minor") if key else (None, False)
    pitch = pitches_from_slots(slot, chord, chords, tonic, minor)
    high_hand = slot >= HAND_SPLIT
    cell = (unit, high_hand * UNIT_STEPS + place)
    velocity = np.clip(np.round(level + VELOCITY_SCALE * played[cell].astype(np.float64)), 20, 118)
    onset = grid.step_tick[step]
    end = onset + (STEP_TICKS * held[cell]).astype(np.int64)
    end = np.minimum(end, _allowed_end(pitch, chord, starts, chords))
    end = np.minimum(end, _run_end(grid, replay_bar)[grid.unit_bar[unit]])
    notes = make_notes(onset, np.maximum(end - onset, STEP_TICKS // 4), pitch, velocity)
    order = np.lexsort((np.maximum(end - onset, STEP_TICKS // 4), pitch, onset))
    return notes, high_hand[order]


def _allowed_end(
    pitch: np.ndarray, chord: np.ndarray, starts: np.ndarray, chords: Sequence[Chord]
) -> np.ndarray:
    """The tick by which each note must end: its chord's end, or the next chord's where it belongs to that."""
    far = np.int64(2**31 - 1)
    chord_end = np.append(starts[1:], far)
    member = np.zeros((len(chords) + 1, 12), bool)
    for i, c in enumerate(chords):
        member[i, list(c.pitch_classes)] = True
    through = member[chord + 1, pitch % 12]
    return np.where(through, np.append(chord_end, far)[chord + 1], chord_end[chord])


def _run_end(grid: Grid, replay_bar: np.ndarray) -> np.ndarray:
    """For each bar, the tick where the run of re-played bars that it belongs to ends."""
    end = grid.bar_tick[1:].copy()
    for bar in range(grid.bars - 2, -1, -1):
        if replay_bar[bar + 1]:
            end[bar] = end[bar + 1]
    return end


def _assemble(
    score: Score,
    tracks: list[dict[str, Any]],
    replaced: list[int],
    dropped: list[int],
    parts: list[np.ndarray],
    grid: Grid,
    replay_bar: np.ndarray,
    report: dict[str, Any],
) -> Replayed:
    """The new score: replaced tracks lose their notes in re-played bars, and go when nothing is left."""
    new_tracks: list[Track] = []
    entries: list[dict[str, Any]] = []
    removed = 0
    for i, (track, entry) in enumerate(zip(score.tracks, tracks, strict=True)):
        if i not in replaced and i not in dropped:
            new_tracks.append(track)
            entries.append(entry)
            continue
        bar = np.searchsorted(grid.bar_tick, track.notes["onset_tick"] + STEP_TICKS // 2, "right") - 1
        keep = ~replay_bar[np.clip(bar, 0, grid.bars - 1)]
        left = track.notes[keep] if i in replaced else track.notes[:0]
        removed += len(track.notes) - len(left)
        report["replaced"].append(
            {"track": i, "name": track.name, "notes": len(track.notes) - len(left), "left": len(left)}
        )
        if len(left) or track.texts or track.sysex:
            new_tracks.append(replace(track, notes=left))
            entries.append(entry | {"notes": len(left)})
    players = ENSEMBLES[report["style"]]
    channels = free_channels((t.channel for t in new_tracks), len(players))
    if not channels:
        reason = "all MIDI channels are taken, so there is none for the new accompaniment"
        return score, tracks, report | {"replaced": [], "reason": reason}
    if len(channels) < len(players):
        report["note"] = "too few free MIDI channels for each player; the first instrument plays all"
        parts, players = [join(parts)], players[:1]
    written = []
    for part, player, channel in zip(parts, players, channels, strict=False):
        name = f"{player.name} ({report['style']})"
        new_tracks.append(Track(name=name, channel=channel, program=player.program, notes=part))
        entries.append(
            {
                "name": name,
                "channel": channel,
                "program": player.program,
                "notes": len(part),
                "role": "chords",
                "human_timing": False,
                "nomml": None,
            }
        )
        written.append({"track": len(new_tracks) - 1, "name": name, "notes": len(part)})
    report["written"] = written
    report["changed"] = {"notes_removed": removed, "notes_written": sum(len(p) for p in parts)}
    return replace(score, tracks=tuple(new_tracks)), entries, report
