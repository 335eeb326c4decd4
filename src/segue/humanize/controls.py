"""What a musician sets beside the models: push, accent and swing, and what one track has of its own.

Every control is neutral by default. Swing and push move notes on top of what the models do, also where
`amount` is 0; the groove that the other tracks follow is without them, so that pushing the drums moves the
drums alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from segue.humanize.encoding import CLASSES
from segue.humanize.swing import STRAIGHT, Swing, swing_moves
from segue.score import Score, Track, seconds_per_tick
from segue.stage import ROLES, Record, Settings

#: `keep_existing: blend` takes a human's track this share of the way that `redo` takes it.
BLEND_SHARE = 0.5
#: `level`: the kit keeps its written loudness where other instruments play along.
AUTO_LEVEL = "auto"
#: The drum classes that have a push of their own, on top of the drums'.
PUSHED_CLASSES = {"kick": ("kick",), "snare": ("snare",), "hats": ("closed hi-hat", "open hi-hat", "ride")}


@dataclass(frozen=True)
class Controls:
    """The settings of one track; names and ranges as in the schema, `push` in ms."""

    amount: float
    timing: float
    velocity: float
    variation: float
    accent: float
    swing: Swing
    push: float
    #: What `tracks` sets for this track.
    explicit: frozenset[str] = frozenset()

    @property
    def timing_share(self) -> float:
        """How much of the expected deviation in time is played."""
        return self.amount * self.timing

    @property
    def velocity_share(self) -> float:
        """How much of the expected dynamics is played."""
        return self.amount * self.velocity

    @property
    def is_neutral(self) -> bool:
        """True where the track stays as it is."""
        return self.amount == 0 and self.swing == STRAIGHT and self.push == 0


def track_controls(
    score: Score, record: Record, settings: Settings
) -> tuple[list[Controls], dict[str, list[int]]]:
    """The controls of each track of the score, and which tracks each entry of `tracks` was used for.

    An entry for a track's name wins over one for its role, a later entry over an earlier one. Where human
    tracks are blended, theirs have that much less of timing and velocity.
    """
    known = record.get("tracks", [])
    shared = {f.name: settings[f.name] for f in fields(Controls) if f.name not in ("push", "explicit")}
    overrides: Mapping[str, Mapping[str, Any]] = settings["tracks"]
    used: dict[str, list[int]] = {key: [] for key in overrides}
    controls = []
    for i, track in enumerate(score.tracks):
        entry = known[i] if i < len(known) else {}
        role = role_of(track, entry)
        values = shared | {"push": settings["push"][role]}
        names = [key for key in overrides if key not in ROLES and _matches(track.name, key)]
        explicit: set[str] = set()
        for key in [*(key for key in overrides if key == role), *names]:
            values |= overrides[key]
            explicit |= set(overrides[key])
            used[key].append(i)
        if settings["keep_existing"] == "blend" and entry.get("human_timing"):
            values |= {name: BLEND_SHARE * values[name] for name in ("timing", "velocity")}
        controls.append(Controls(**values, explicit=frozenset(explicit)))
    return controls, used


def role_of(track: Track, entry: Mapping[str, Any]) -> str:
    """The track's role, one of `ROLES`; `entry` is what the record says of the track."""
    if track.is_drum:
        return "drums"
    role = entry.get("role")
    # On a pitched channel a record may still say drums.
    return role if role in ROLES and role != "drums" else "other"


def _matches(name: str, pattern: str) -> bool:
    # A bracket is a letter of the name, as in "Lead [2]".
    literal = pattern.strip().casefold().replace("[", "[[]")
    return fnmatchcase(name.strip().casefold(), literal)


def kit_level(score: Score, level: float | str) -> float:
    """How far the kit keeps its written loudness, 0 to 1; `auto`: wholly where others play along."""
    if level == AUTO_LEVEL:
        return float(any(len(track.notes) and not track.is_drum for track in score.tracks))
    return float(level)


def class_push(settings: Settings) -> np.ndarray:
    """Push in ms of each drum class beside that of the whole kit, shape (10,); the last is for no class."""
    push = np.zeros(len(CLASSES) + 1)
    for key, names in PUSHED_CLASSES.items():
        push[[CLASSES.index(name) for name in names]] = settings["push"][key]
    return push


def extra_moves(
    score: Score, place: np.ndarray, duration: np.ndarray, swing: Swing, push_ms: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Ticks by which swing and push move notes, and by which swing makes them longer, float, (n,) each.

    `place` (n,) are the ticks where the notes are meant to begin, `duration` (n,) their lengths in ticks.
    """
    shift, longer = swing_moves(score, place, duration, swing)
    if np.any(push_ms):
        shift = shift + push_ms / 1000 / seconds_per_tick(score, place)
    return shift, longer


def accented(loudness: np.ndarray, accent: np.ndarray | float) -> np.ndarray:
    """Expected velocities (n,) with their deviations from the mean times `accent`; NaN stays NaN."""
    known = np.isfinite(loudness)
    if np.all(accent == 1) or not known.any():
        return loudness
    return loudness + (accent - 1) * (loudness - loudness[known].mean())
