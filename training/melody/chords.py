"""How closely new notes keep to chords: `python -m training.melody.chords --data ../shared/data`.

Eight bars are written after the first eight of some validation melodies, with their own chords, with foreign
ones and with none, at several weights. The figure is the share of notes whose pitch belongs to the chord that
they begin in, root, third, fifth and the seventh of a dominant; the true music is beside.
"""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from segue.chords import QUALITIES
from segue.complete.encoding import CHORD_QUALITIES, PITCH_TOKENS, REST, Chords, Events, Setting
from segue.complete.sampler import Place, Taste, write
from segue.runtime import Model, load_model
from training.melody.data import load_tunes
from training.melody.examples import Example, encode_tune

BARS, TUNES, VOICES = 8, 40, 3
WEIGHTS = (0.0, 0.5, 1.0)
STYLES = ("pop", "song", "jazz")
_FULL = ("maj", "min", "7", "dim", "aug", "sus4", "5")
_TONES = {name: QUALITIES[full].intervals for name, full in zip(CHORD_QUALITIES, _FULL, strict=True)}
#: Semitones above the tonic and qualities, one chord a bar.
_FOREIGN = ("maj", 8), ("maj", 3), ("maj", 10), ("min", 5), ("maj", 8), ("maj", 1), ("dom", 7), ("maj", 0)


def foreign_chords(setting: Setting, start: int) -> Chords:
    """A chord a bar from `start` (units) on, far from the key."""
    return Chords(
        tuple(start + k * setting.bar for k in range(BARS)),
        tuple((setting.tonic_pitch + step) % 12 for _, step in _FOREIGN),
        tuple(CHORD_QUALITIES.index(name) for name, _ in _FOREIGN),
        start + BARS * setting.bar,
    )


def in_chord(chords: Chords, start: int, pitch: int) -> bool | None:
    """Whether a MIDI pitch at `start` (units) belongs to the chord there; None where there is none."""
    i = chords.at(start)
    if i is None or chords.root[i] < 0:
        return None
    return (pitch - chords.root[i]) % 12 in _TONES[CHORD_QUALITIES[chords.quality[i]]]


def _cut(example: Example) -> int | None:
    """The event at the start of the ninth bar, if one begins there."""
    start = example.setting.origin + BARS * example.setting.bar
    i = int(np.searchsorted(example.events.start, start))
    return i if i < len(example.events) and example.events.start[i] == start else None


def shares(model: Model, examples: list[Example], weight: float) -> dict[str, float]:
    """Share of notes in the chord: true music, and what is written with own chords, foreign ones and none."""
    found: dict[str, list[bool]] = {"true": [], "own": [], "none": [], "foreign": []}
    for example in examples:
        cut, setting = _cut(example), example.setting
        if cut is None or setting.chords is None:
            continue
        start = int(example.events.start[cut])
        past = Events(*(getattr(example.events, field.name)[:cut] for field in fields(Events)))
        stop = start + BARS * setting.bar
        later = zip(example.events.start[cut:].tolist(), example.events.pitch[cut:].tolist(), strict=True)
        music = {"true": [(at, token) for at, token in later if at < stop]}
        told = {"own": setting.chords, "none": None, "foreign": foreign_chords(setting, start)}
        taste = Taste(1.0, 0.95, np.ones(PITCH_TOKENS, bool), setting.bar // 2, weight)
        for name, chords in told.items():
            place = Place(replace(setting, chords=chords, style=None), past, start, stop)
            made = write(model, place, taste, [np.random.default_rng(seed) for seed in range(VOICES)])
            music[name] = [(at, token) for one in made for at, token, _ in one.events]
        for name, events in music.items():
            against = told["foreign"] if name == "foreign" else setting.chords
            hits = [in_chord(against, at, setting.pitch(token)) for at, token in events if token != REST]
            found[name] += [hit for hit in hits if hit is not None]
    return {name: float(np.mean(hits)) for name, hits in found.items()}


def main() -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(description="Measure how closely new notes keep to chords.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args()
    _, valid, _ = load_tunes(args.data, Path("training/runs/melody"))
    model = load_model("melody")
    print("| | true music | no chords | " + " | ".join(f"weight {weight:g}" for weight in WEIGHTS) + " |")
    print("|---|---|---|" + "---|" * len(WEIGHTS))
    for style in STYLES:
        tunes = [tune for tune in valid if tune.style == style and tune.chords][:TUNES]
        examples = [encode_tune(tune, 0, 0) for tune in tunes]
        rows = [shares(model, examples, weight) for weight in WEIGHTS]
        own, foreign = (" | ".join(f"{row[name]:.2f}" for row in rows) for name in ("own", "foreign"))
        print(f"| {style}, own chords | {rows[0]['true']:.2f} | {rows[0]['none']:.2f} | {own} |")
        print(f"| {style}, foreign chords | | | {foreign} |")


if __name__ == "__main__":
    main()
