"""Presets: styles that users make of their own MIDI files, saved as YAML.

A preset holds a style vector, which is the mean over its files, and the players, so nothing is trained. The
vector belongs to the style network that made it; with another one the preset is made anew.
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
import yaml

from segue.stage import InputFile, StageError
from segue.transfer.encoding import STYLE_SIZE
from segue.transfer.ensemble import Player
from segue.transfer.kit import PROFILE, blend_profiles, pack_profile, unpack_profile
from segue.transfer.reference import Example
from segue.transfer.style import Profiles

FORMAT = 1
SUFFIXES = (".yaml", ".yml")
#: Where `style: NAME` looks for NAME.yaml, seen from the folder of the run.
FOLDER = "styles"
_KEYS = {"segue_style", "name", "hears", "files", "meters", "players", "encoder", "vector", "profiles"}
_KEYS |= {"notes_a_unit", "drums"}
#: Shapes of the profiles (see `segue.transfer.style`).
_SHAPES = ((24, 41), (24, 24))
_LEVELS = 255


class Sound(NamedTuple):
    """How an example sounds: style vector, profiles, notes a quarter, the profile of its drums or None."""

    vector: np.ndarray
    profiles: Profiles
    notes_a_unit: float
    drums: np.ndarray | None


def preset_of(
    name: str,
    hears: str,
    examples: Sequence[Example],
    sounds: Sequence[Sound],
    encoder: str,
) -> dict[str, Any]:
    """The preset of at least one example with its style vector and profiles; `encoder` is the hash of the
    network. Every example counts the same.
    """
    profiles = [sound.profiles for sound in sounds]
    drums = [sound.drums for sound in sounds if sound.drums is not None]
    meters = Counter(m.name for e in examples for m in {m.name: m for m in e.meters}.values())
    return {
        "segue_style": FORMAT,
        "name": name,
        "hears": hears,
        "files": [e.name for e in examples],
        "meters": [meter for meter, _ in meters.most_common()],
        "players": [player._asdict() for player in usual_players(examples)],
        "encoder": encoder,
        "vector": [round(float(x), 5) for x in np.mean([s.vector for s in sounds], axis=0)],
        "profiles": pack_profiles(
            [
                np.mean([part / max(float(part.sum()), 1e-9) for part in parts], axis=0)
                for parts in zip(*profiles, strict=True)
            ]
        ),
        "notes_a_unit": round(float(np.exp(np.mean([np.log(s.notes_a_unit) for s in sounds]))), 3),
        "drums": pack_profile(blend_profiles([(d, 1 / len(drums)) for d in drums])) if drums else "",
    }


def pack_profiles(profiles: Sequence[np.ndarray]) -> list[str]:
    """Each profile as a line of text: square roots in steps of a 255th of the largest, compressed."""
    lines = []
    for part in profiles:
        root = np.sqrt(part / max(float(part.max()), 1e-12))
        levels = np.rint(root * _LEVELS).astype(np.uint8)
        lines.append(base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode("ascii"))
    return lines


def unpack_profiles(lines: Sequence[str]) -> Profiles:
    """Profiles, up to a factor, from the lines of `pack_profiles`. Raises ValueError for anything else."""
    if len(lines) != len(_SHAPES):
        raise ValueError(f"{len(_SHAPES)} profiles are needed")
    parts = []
    for line, shape in zip(lines, _SHAPES, strict=True):
        try:
            levels = np.frombuffer(zlib.decompress(base64.b64decode(line, validate=True)), np.uint8)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        parts.append(np.square(levels.reshape(shape) / _LEVELS))
    return parts[0], parts[1]


def usual_players(examples: Sequence[Example]) -> tuple[Player, ...]:
    """The players of the most usual ensemble (programs from high to low), with the widest of their ranges."""
    ensembles = Counter(tuple(p.program for p in e.players) for e in examples)
    usual = max(ensembles, key=lambda programs: (ensembles[programs], -len(programs)))
    same = [e.players for e in examples if tuple(p.program for p in e.players) == usual]
    return tuple(
        Player(
            own[0].name,
            own[0].program,
            min(p.lowest for p in own),
            max(p.highest for p in own),
            all(p.line for p in own),
        )
        for own in zip(*same, strict=True)
    )


def preset_to_yaml(preset: Mapping[str, Any]) -> str:
    """The preset as a file that a musician can read: players and their ranges may be edited."""
    return yaml.safe_dump(
        dict(preset), sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
    )


def read_preset(file: InputFile) -> dict[str, Any]:
    """The preset in a file, checked. Raises `StageError` saying what is wrong in it."""
    try:
        saved = yaml.safe_load(file.data)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StageError(f"it is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(saved, Mapping) or "segue_style" not in saved:
        raise StageError("it is no style; make one with `segue style DIR -o NAME.yaml`")
    if saved["segue_style"] != FORMAT:
        raise StageError(f"it is of format {saved['segue_style']}, and {FORMAT} is known; make it anew")
    if missing := sorted(_KEYS - set(saved)):
        raise StageError(f"it lacks {', '.join(missing)}; make it anew with `segue style`")
    vector = saved["vector"]
    numbers = isinstance(vector, list) and all(isinstance(x, int | float) and abs(x) < 1e6 for x in vector)
    if not numbers or len(vector) != STYLE_SIZE:
        raise StageError(f"its vector is no list of {STYLE_SIZE} numbers; make it anew with `segue style`")
    try:
        unpack_profiles(saved["profiles"])
        known = float(saved["notes_a_unit"]) > 0 and (
            not saved["drums"] or len(unpack_profile(saved["drums"])) == PROFILE
        )
        if not known:
            raise ValueError("density or drums")
    except (ValueError, TypeError) as error:
        raise StageError("its profiles are damaged; make it anew with `segue style`") from error
    _check_players(saved["players"])
    return {key: saved[key] for key in sorted(_KEYS)}


def _check_players(players: Any) -> None:
    if not isinstance(players, list) or not players:
        raise StageError("it names no players; make it anew with `segue style`")
    for player in players:
        if not isinstance(player, Mapping) or set(player) != set(Player._fields):
            raise StageError(f"a player has {', '.join(Player._fields)}; one of its players has not")
        if not 0 <= player["program"] <= 127:
            raise StageError(f"{player['name']} has program {player['program']}; programs are 0 to 127")
        low, high = player["lowest"], player["highest"]
        if not 0 <= low <= high - 12 <= 115:
            raise StageError(
                f"{player['name']} plays from {low} to {high}; give MIDI pitches an octave apart at least"
            )


def players_of_preset(preset: Mapping[str, Any]) -> tuple[Player, ...]:
    """The players of a preset that `read_preset` has checked."""
    return tuple(Player(**player) for player in preset["players"])


def presets_in(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The presets of a folder: what each sounds like by name, and why others cannot be used by name."""
    known: dict[str, str] = {}
    broken: dict[str, str] = {}
    for path in sorted(p for p in folder.glob("*") if p.suffix in SUFFIXES):
        try:
            preset = read_preset(InputFile(str(path), path.read_bytes()))
            known[path.stem] = f"{preset['hears']} ({len(preset['files'])} files)"
        except (StageError, OSError) as error:
            broken[path.stem] = str(error)
    return known, broken


def make_preset(
    pieces: Sequence[tuple[str, Callable[[], Example]]],
    sound_of: Callable[[Example], Sound],
    output: PurePath,
    hears: str,
    encoder: str,
) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """A preset of the pieces that have a style (None without any), and why others were left out, by path."""
    examples, sounds, left_out = [], [], {}
    for path, read in pieces:
        try:
            example = read()
            sounds.append(sound_of(example))
            examples.append(example)
        except (StageError, OSError) as error:
            left_out[path] = str(error)
    if not examples:
        return None, left_out
    return preset_of(output.stem, hears, examples, sounds, encoder), left_out
