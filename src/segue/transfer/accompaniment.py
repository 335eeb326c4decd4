"""Re-playing the pitched accompaniment of a piece in another style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.chords import Chord, chords_of_record
from segue.runtime import Model
from segue.score import Score
from segue.stage import Record, Settings
from segue.transfer.content import clarity_tilt, content_of, notes_chroma
from segue.transfer.controls import control_tilt, moved_features
from segue.transfer.encoding import (
    HAND_SLOTS,
    UnitNotes,
    cell_lengths,
    chords_of_steps,
    hand_patterns,
    keys_of_chords,
    onset_grid,
    place_notes,
    source_features,
    unit_features,
)
from segue.transfer.ensemble import both_hands, join
from segue.transfer.form import end_with, ending, first_tick, hold_ending, meters_played, phrases_to_replay
from segue.transfer.frame import later, on_its_beats
from segue.transfer.grid import PITCHED_STEPS, STEP_TICKS, Grid, grid_phase, pitched_grid
from segue.transfer.jazz import play_swing
from segue.transfer.original import length_tilt, nearness, share_of_style, source_tilt
from segue.transfer.patterns import unpack_patterns
from segue.transfer.phrases import Plan, wanted_density, write_phrases
from segue.transfer.profiles import part_histograms
from segue.transfer.score_parts import Band, Chosen, assemble, choose_tracks
from segue.transfer.slots import Key
from segue.transfer.sounding import Content, sound
from segue.transfer.style import Profiles
from segue.transfer.target import Target, between, between_densities, heard_vector, mixed_profiles

HANDS = ("low", "high")
#: Mean velocity where there is no source to take it from: as a part of the melody's, and without one.
_BESIDE_MELODY, _PLAIN_VELOCITY = 0.85, 70.0

Replayed = tuple[Score, list[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class _Heard:
    """A piece as the stage hears it: its notes by what they do, and its grid with the chords on it.

    All is on the music's own beats and bars (see `frame`), which come `late` ticks after the file's.
    """

    score: Score
    late: int
    source: np.ndarray
    melody: np.ndarray
    phase: int
    grid: Grid
    content: Content

    @property
    def profiles(self) -> Profiles:
        """The profiles of the source's figures."""
        interval, duration, _ = part_histograms(self.source, self.score)
        return interval, duration

    @property
    def level(self) -> float:
        """The mean velocity of the accompaniment."""
        if len(self.source):
            return float(self.source["velocity"].mean())
        return _BESIDE_MELODY * float(self.melody["velocity"].mean()) if len(self.melody) else _PLAIN_VELOCITY


def replay_accompaniment(
    score: Score,
    record: Record,
    settings: Settings,
    target: Target,
    models: Mapping[str, Model],
    rng: np.random.Generator,
) -> Replayed:
    """The score, its list of track records and a report, with the accompaniment in the style of `target`."""
    tracks = [dict(entry) for entry in record["tracks"]]
    chosen = choose_tracks(score, tracks, bass=settings["bass"])
    report: dict[str, Any] = {"style": target.name, "replaced": [], "skipped": chosen.kept}
    if reason := _reason_for_nothing(score, record, tracks, chosen):
        return score, tracks, report | {"reason": reason}
    heard = _hear(score, record, chosen)
    grid, content = heard.grid, heard.content
    replay_bar = phrases_to_replay(grid.bars, settings["amount"])
    chorded = np.bincount(grid.unit_bar[grid.step_unit], content.has_chord, minlength=grid.bars) > 0
    replay_bar &= chorded
    if target.vector is None:
        notes, high_hand = _swing(heard, settings, replay_bar, rng)
    else:
        notes, high_hand, near = _write(heard, target, settings, models, replay_bar, chorded, rng)
        report["already_in_style"] = near
    if not settings["bass"] and any(e["role"] == "bass" for e in tracks):
        notes, high_hand = notes[high_hand], high_hand[high_hand]
    notes, high_hand, told = _formed(notes, high_hand, heard, replay_bar)
    report |= told | _remarks(target, settings, heard, chosen)
    if heard.score.meters != score.meters:
        report["meters_found"] = meters_played(heard.score)
    report["bars"] = {"replayed": int(replay_bar.sum()), "of": grid.bars}
    band = Band(
        target.name, target.players, target.lead, settings["keep_instruments"], settings["keep_melody"]
    )
    written, bars = (later(notes, heard.late), high_hand), (grid.bar_tick + heard.late, replay_bar)
    return assemble(score, tracks, chosen, band, written, bars, report)


def _reason_for_nothing(
    score: Score, record: Record, tracks: Sequence[Mapping[str, Any]], chosen: Chosen
) -> str | None:
    if not any(len(t.notes) and e["role"] != "drums" for t, e in zip(score.tracks, tracks, strict=True)):
        return "the piece has no pitched notes"
    if not any(chord.is_chord for chord in chords_of_record(record)[1]):
        return "the record holds no chords; switch the harmonize stage on"
    if chosen.melody_plays_chords:
        return "the melody's track plays its own chords; put melody and accompaniment in tracks of their own"
    return None


def _hear(score: Score, record: Record, chosen: Chosen) -> _Heard:
    score, record, late = on_its_beats(score, record)
    source = join([score.tracks[i].notes for i in chosen.replaced])
    melody = join([score.tracks[i].notes for i in chosen.melodies])
    starts, chords = _distinct_chords(*chords_of_record(record))
    phase = grid_phase(np.concatenate([source["onset_tick"], melody["onset_tick"]]))
    grid = pitched_grid(score, phase)
    step_chord = chords_of_steps(grid, starts)
    has_chord = np.array([c.is_chord for c in chords] + [False])[step_chord]
    key = record.get("key")
    regions: list[dict[str, Any]] = record.get("keys") or ([{**key, "tick": 0}] if key else [])
    keys: list[Key] = keys_of_chords(starts, regions)
    content = Content(starts, chords, keys, step_chord, has_chord)
    return _Heard(score, late, source, melody, phase, grid, content)


def _distinct_chords(starts: np.ndarray, chords: list[Chord]) -> tuple[np.ndarray, list[Chord]]:
    """The chords with repetitions joined."""
    keep = [i for i in range(len(chords)) if i == 0 or chords[i] != chords[i - 1]]
    return starts[keep], [chords[i] for i in keep]


def _write(
    heard: _Heard,
    target: Target,
    settings: Settings,
    models: Mapping[str, Model],
    replay_bar: np.ndarray,
    chorded: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, float]:
    """The new notes, True where one is the high hand's, both (n,), and how near the source is to the style
    (see `original.nearness`).
    """
    model, grid, content = models["accompaniment"], heard.grid, heard.content
    placed = place_notes(heard.source, grid, content.step_chord, content.chords)
    vector, profiles, usual, near, share = target.vector, target.profiles, target.usual, 0.0, 1.0
    if (placed.slot >= 0).any():
        own = heard_vector(models["style"], heard.source, grid, content.step_chord, content.chords)
        near = nearness(own, vector)
        share = share_of_style(settings["intensity"], near)
    if share < 1:
        vector = between(own, vector, share)
        density = wanted_density(heard.source, grid, (0.0, np.inf))
        usual = between_densities((density, density), usual, share)
        profiles = mixed_profiles(heard.profiles, profiles, share)
    compared = source_features(heard.source, grid)
    features = unit_features(
        grid,
        content.step_chord,
        content.chords,
        content.keys,
        heard.melody,
        moved_features(compared, settings),
        vector,
    )
    plan = Plan(
        grid,
        features,
        (compared[:, -2] > 0) & (compared[:, -1] > 0) | ~chorded[grid.unit_bar],
        content.step_chord,
        content.starts,
        content.chords,
        content.keys,
        content_of(grid, content.step_chord, content.chords, heard.source),
        _tilts(model, heard, placed, settings, share),
        length_tilt(cell_lengths(placed, grid), share) if share < 1 else None,
        None if usual is None else wanted_density(heard.source, grid, usual) * 2 ** settings["density"],
    )
    written = write_phrases(model, plan, profiles, settings["temperature"], settings["strength"], rng)
    return *sound(written, grid, content, heard.level, replay_bar), near


def _tilts(
    model: Model, heard: _Heard, placed: UnitNotes, settings: Settings, share: float
) -> dict[str, np.ndarray]:
    """What is added to the logits of each hand's patterns at each unit, (units, patterns)."""
    grid, content = heard.grid, heard.content
    unit_chord = content.step_chord[grid.table()[:, 0]]
    melody = notes_chroma(heard.melody, grid)
    # Colours are what makes chords less clear, so who asks for colours does not ask for that.
    asked = share * (1 - max(settings["complexity"], 0))
    tilts = {}
    for hand, slots, played in zip(HANDS, HAND_SLOTS, hand_patterns(onset_grid(placed, grid)), strict=True):
        book = unpack_patterns(model.card["patterns"][hand], PITCHED_STEPS * slots)
        clear = clarity_tilt(book, unit_chord, content.chords, content.keys, melody)
        tilts[hand] = control_tilt(book, settings) + asked * clear
        if share < 1:
            tilts[hand] += source_tilt(played, book, share)
    return tilts


def _swing(
    heard: _Heard, settings: Settings, replay_bar: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Piano and walking bass by rule, as from `_write`; at temperature 0 the same with every seed."""
    content, grid = heard.content, heard.grid
    piano, bass = play_swing(
        heard.score,
        heard.melody,
        content.starts,
        content.chords,
        heard.level,
        rng if settings["temperature"] else np.random.default_rng(0),
        **{name: settings[name] for name in ("density", "syncopation", "register", "intensity")},
    )
    notes, high_hand = both_hands(piano.notes, bass.notes)
    bar = np.searchsorted(grid.bar_tick, notes["onset_tick"] + STEP_TICKS // 2, "right") - 1
    sounds = np.bincount(
        np.searchsorted(grid.bar_tick, heard.source["onset_tick"] + STEP_TICKS // 2, "right").clip(1) - 1,
        minlength=grid.bars + 1,
    )[: grid.bars]
    wanted = replay_bar & ((sounds > 0) | (len(heard.source) == 0))
    kept = wanted[bar.clip(0, grid.bars - 1)]
    return notes[kept], high_hand[kept]


def _formed(
    notes: np.ndarray, high_hand: np.ndarray, heard: _Heard, replay_bar: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The notes with the beginning and the ending of the piece, which of them are the high hand's, and what
    is told.
    """
    told: dict[str, Any] = {}
    begins = notes["onset_tick"] >= first_tick(heard.source, heard.melody, heard.grid)
    notes, high_hand = notes[begins], high_hand[begins]
    notes, inside = end_with(notes, heard.source, heard.melody)
    high_hand = high_hand[inside]
    held = ending(heard.source, heard.melody)
    bar = np.searchsorted(heard.grid.bar_tick, held[0] + STEP_TICKS // 2, "right") - 1 if held else -1
    if held and 0 <= bar < len(replay_bar) and replay_bar[bar]:
        index = int(np.searchsorted(heard.content.starts, held[0] + STEP_TICKS // 2, "right")) - 1
        chord = heard.content.chords[index] if index >= 0 else Chord()
        classes = np.array(chord.pitch_classes, np.int64)
        high = hold_ending(notes[high_hand], *held, classes)
        # The low hand ends on the bass alone.
        bass = classes[classes == chord.bass] if len(classes) else classes
        notes, high_hand = both_hands(high, hold_ending(notes[~high_hand], *held, bass))
        told["ending"] = {"bar": int(bar) + 1, "held_ticks": held[1] - held[0]}
    return notes, high_hand, told


def _remarks(target: Target, settings: Settings, heard: _Heard, chosen: Chosen) -> dict[str, Any]:
    """What the record says beside the figures: what fell back, and why."""
    told: dict[str, Any] = {}
    played = meters_played(heard.score)
    unknown = {m: bars for m, bars in played.items() if target.meters and m not in target.meters}
    if unknown:
        told["meters"] = {
            "without_data": unknown,
            "note": f"{target.name} has no data in {', '.join(unknown)}; its figures are fitted to these "
            "bars a quarter at a time",
        }
    notes = []
    if not len(heard.source):
        notes.append("the piece had no accompaniment; one was written")
        if settings["intensity"] < 1:
            notes.append("there is no original that intensity could keep to")
        if settings["keep_instruments"]:
            notes.append("there are no instruments to keep; those of the style play")
    elif not chosen.melodies:
        notes.append("no melody was found, so nothing but single lines was kept")
    if notes:
        told["note"] = "; ".join(notes)
    if late := heard.late + heard.phase:
        told["phase_ticks"] = late
    return told
