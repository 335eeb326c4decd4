"""What the players are asked for: a style by name, of a preset or of a reference, or between two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.runtime import Model
from segue.stage import Settings, StageError
from segue.transfer.encoding import cell_lengths, chords_of_steps, onset_grid, place_notes
from segue.transfer.ensemble import Player
from segue.transfer.grid import Grid, beat_grid, pitched_grid
from segue.transfer.kit import style_profile, unpack_profile
from segue.transfer.phrases import wanted_density
from segue.transfer.presets import players_of_preset, unpack_profiles
from segue.transfer.profiles import part_histograms
from segue.transfer.reference import Example, example_from_dict
from segue.transfer.style import Profiles, scaled, style_rows, vector_of
from segue.transfer.styles import PIANO, STYLES

NONE = "none"
#: The style that is played by rules and has no vector.
SWING = "swing"
#: How much denser or thinner than its examples a style may become, and the fewest hits that tell a drummer.
_DENSITY_RATIO, _LEAST_HITS = 1.25, 32


@dataclass(frozen=True)
class Target:
    """A style to be played: its vector (STYLE_SIZE,), None for the one that is played by rules, the profiles
    of its figures, its players from high to low, who takes over the melody, and the meters that its data have
    (empty: not known).
    """

    name: str
    vector: np.ndarray | None
    profiles: Profiles | None
    players: tuple[Player, ...]
    lead: Player | None = None
    meters: tuple[str, ...] = ()
    #: Notes a quarter, lowest and highest of what is usual; None where the rules decide.
    usual: tuple[float, float] | None = None
    #: The profile of its drums (see `segue.transfer.kit`), None for a style that has none.
    drums: np.ndarray | None = None


def target_of(settings: Settings, models: Mapping[str, Model]) -> Target | None:
    """The target that the settings name, None for none. Raises `StageError` for one that cannot be played."""
    named = settings["style"] if settings["reference"] == NONE else settings["reference"]
    if named == NONE:
        return None
    target = _one(named, models)
    if settings["blend"] is None:
        return target
    other, share = _one(settings["blend"][0], models), float(settings["blend"][1])
    if target.vector is None or other.vector is None:
        raise StageError(f"{SWING} is played by rules and cannot be blended; blend two of the other styles")
    return replace(
        target if share < 0.5 else other,
        name=f"{target.name}+{other.name}",
        vector=between(target.vector, other.vector, share),
        profiles=mixed_profiles(target.profiles, other.profiles, share),
        usual=between_densities(target.usual, other.usual, share),
        meters=tuple(m for m in target.meters if m in other.meters),
    )


def between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The style `share` of the way from the first vector to the second, (STYLE_SIZE,)."""
    return scaled((1 - share) * first.astype(np.float64) + share * second.astype(np.float64))


def between_densities(
    first: tuple[float, float] | None, second: tuple[float, float] | None, share: float
) -> tuple[float, float] | None:
    """Densities `share` of the way from the first to the second, as ratios; None where one is not known."""
    if first is None or second is None:
        return None
    low, high = (a ** (1 - share) * b**share for a, b in zip(first, second, strict=True))
    return low, high


def mixed_profiles(first: Profiles | None, second: Profiles | None, share: float) -> Profiles | None:
    """The profiles `share` of the way from the first to the second, each counted as a whole; None where one
    is not known.
    """
    if first is None or second is None:
        return None
    whole = [[part / max(float(part.sum()), 1e-9) for part in parts] for parts in (first, second)]
    interval, duration = ((1 - share) * a + share * b for a, b in zip(*whole, strict=True))
    return interval, duration


def _one(named: Any, models: Mapping[str, Model]) -> Target:
    if isinstance(named, str):
        style = STYLES[named]
        if named == SWING:
            return Target(named, None, None, style.players, style.lead, style.meters)
        player = models["accompaniment"]
        low, high = player.card["notes_a_unit"][named]
        sound = named_sound(player, named)
        return Target(named, *sound, style.players, style.lead, style.meters, (low, high))
    if "segue_style" in named:
        return _of_preset(named, models["style"])
    example = example_from_dict(named)
    vector, profiles = example_vector(models["style"], example), example_profiles(example)
    meters = tuple(dict.fromkeys(m.name for m in example.meters))
    usual = usual_density(notes_a_unit(example))
    players = example.players or (PIANO,)
    return Target(example.name, vector, profiles, players, None, meters, usual, drum_profile(example))


def notes_a_unit(example: Example) -> float:
    """Notes a quarter of an example, over the bars in which it plays."""
    return wanted_density(example.notes, pitched_grid(example.score), (0.0, np.inf))


def usual_density(notes: float) -> tuple[float, float]:
    """What is taken for usual around the density of examples."""
    return notes / _DENSITY_RATIO, notes * _DENSITY_RATIO


def drum_profile(example: Example) -> np.ndarray | None:
    """The profile of an example's drums, None where there are too few hits to tell."""
    if len(example.drums) < _LEAST_HITS:
        return None
    return style_profile(example.drums, beat_grid(example.score))


def named_sound(model: Model, name: str) -> tuple[np.ndarray, Profiles]:
    """The vector (STYLE_SIZE,) and the profiles of a named style, from the folder of the network."""
    styles = model.card["styles"]
    row = list(styles).index(name)
    counts = model.extra("styles.npz")
    return np.array(styles[name], np.float32), (counts["interval"][row], counts["duration"][row])


def _of_preset(preset: Mapping[str, Any], encoder: Model) -> Target:
    if preset["encoder"] != encoder_mark(encoder):
        raise StageError(
            f"the style {preset['name']} was made with another style network than {encoder.name}; "
            "make it anew with `segue style`"
        )
    vector = np.array(preset["vector"], np.float32)
    profiles = unpack_profiles(preset["profiles"])
    return Target(
        preset["name"],
        vector,
        profiles,
        players_of_preset(preset),
        None,
        tuple(preset["meters"]),
        usual_density(preset["notes_a_unit"]),
        unpack_profile(preset["drums"]) if preset["drums"] else None,
    )


def encoder_mark(encoder: Model) -> str:
    """What a preset remembers of the network that made its vector."""
    return encoder.sha256[:16]


def example_profiles(example: Example) -> Profiles:
    """The profiles of an example's figures."""
    interval, duration, _ = part_histograms(example.notes, example.score)
    return interval, duration


def example_vector(encoder: Model, example: Example) -> np.ndarray:
    """The style vector of an example, (STYLE_SIZE,). Raises `StageError` where none of it can be read."""
    grid = pitched_grid(example.score)
    step_chord = chords_of_steps(grid, example.starts)
    return heard_vector(encoder, example.notes, grid, step_chord, example.chords)


def heard_vector(
    encoder: Model, notes: np.ndarray, grid: Grid, step_chord: np.ndarray, chords: list[Any]
) -> np.ndarray:
    """The style vector of notes over their chords, (STYLE_SIZE,). Raises like `example_vector`."""
    placed = place_notes(notes, grid, step_chord, chords)
    try:
        return vector_of(encoder, style_rows(onset_grid(placed, grid), cell_lengths(placed, grid), grid))
    except ValueError as error:
        raise StageError(str(error)) from error
