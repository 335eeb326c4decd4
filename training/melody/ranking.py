"""How well variations are ranked: `python -m training.melody.ranking --data ../shared/data`.

Two bars in each of some validation tunes are marked and written in eight variations by the complete stage.
The figure is the agreement with what stood there (F1 of notes at the same place and pitch), of the variation
that comes first by several rules, mean over the tunes. What stood there is one good answer of many, so this
tells rules apart and says nothing of the music's worth. Copies of training tunes are allowed here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segue.complete import apply
from segue.complete.encoding import TICKS_PER_UNIT
from segue.complete.regions import BEGIN, END
from segue.config import check_stage
from segue.metrics.bootstrap import interval_of_mean
from segue.runtime import Model, load_model
from segue.score import MARKER, Meter, Score, Text, Track, make_notes
from training.melody.data import load_tunes
from training.melody.tune import Tune

VARIATIONS = 8
BARS = 2
#: Bars of the tune that are there before the marked ones, at least, and tunes of each style.
BEFORE = 8
TUNES = 60
_SETTINGS = {"mode": "infill", "variations": VARIATIONS, "chords": "none", "copy_limit": 0}


@dataclass(frozen=True)
class Variation:
    """One variation: its entry in the record, the melody's own surprise, and its agreement with the tune."""

    told: dict[str, Any]
    own: float
    agreement: float


RULES: dict[str, Callable[[Variation], float]] = {
    "the first draw": lambda v: v.told["draw"],
    "the likeliest": lambda v: v.told["nats"],
    "nearest to the melody's own surprise": lambda v: abs(v.told["nats"] - v.own),
    "fewest faults": lambda v: len(v.told["faults"]),
    "as the stage ranks": lambda v: v.told["penalty"],
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("training/runs/melody"))
    options = parser.parse_args()
    tunes = load_tunes(options.data, options.cache)[1]
    groups = variations_of(tunes, load_model("melody"), np.random.default_rng(0))
    print(f"{len(groups)} tunes, {VARIATIONS} variations of {BARS} bars each")
    mean = [float(np.mean([v.agreement for v in group])) for group in groups]
    rows = {"mean of all": mean} | {name: _agreements(groups, rule) for name, rule in RULES.items()}
    rows["the nearest to the tune"] = [max(v.agreement for v in group) for group in groups]
    for name, values in rows.items():
        low, high = interval_of_mean(np.array(values))
        print(f"  {name:<38} {np.mean(values):.3f} ({low:.3f} to {high:.3f})")


def _agreements(groups: list[list[Variation]], rule: Callable[[Variation], float]) -> list[float]:
    return [min(group, key=lambda v: (rule(v), v.told["draw"])).agreement for group in groups]


def variations_of(tunes: list[Tune], model: Model, rng: np.random.Generator) -> list[list[Variation]]:
    """The variations of two bars of up to `TUNES` tunes of each style."""
    groups: list[list[Variation]] = []
    for style in dict.fromkeys(tune.style for tune in tunes):
        own = [tune for tune in tunes if tune.style == style]
        for k in rng.permutation(len(own))[:TUNES].tolist():
            group = _vary(own[k], model, rng)
            groups += [group] if group else []
    return groups


def _vary(tune: Tune, model: Model, rng: np.random.Generator) -> list[Variation]:
    bar = tune.bar * TICKS_PER_UNIT
    onset = (tune.onset - min(0, int(tune.onset.min()) // tune.bar * tune.bar)) * TICKS_PER_UNIT
    last = int(onset.max()) // bar
    if last < BEFORE + BARS + 2:
        return []
    start = int(rng.integers(BEFORE, last - BARS)) * bar
    stop = start + BARS * bar
    notes = make_notes(onset, tune.duration * TICKS_PER_UNIT, tune.pitch, 80)
    truth = _places(notes, start, stop)
    if len(truth) < 2 * BARS:
        return []
    texts = (Text(start, MARKER, BEGIN), Text(stop, MARKER, END))
    score = Score((Track(notes=notes),), (), (Meter(0, *tune.meter),), (), texts)
    key = {"tonic": tune.tonic, "mode": tune.mode, "name": ""}
    record = {"key": key, "tracks": [{"role": "melody"}], "chords": []}
    result = apply(
        score, record, check_stage("complete", _SETTINGS), {"melody": model}, int(rng.integers(2**32))
    )
    found = []
    for told in result.report.get("variations", []):
        made = _places(result.alternatives[f"complete-{told['rank']}"].tracks[0].notes, start, stop)
        agreement = 2 * len(truth & made) / (len(truth) + len(made))
        found.append(Variation(told, result.report.get("own_nats", 0.0), agreement))
    return found if len(found) > 1 else []


def _places(notes: np.ndarray, start: int, stop: int) -> set[tuple[int, int]]:
    inside = notes[(notes["onset_tick"] >= start) & (notes["onset_tick"] < stop)]
    return set(zip(inside["onset_tick"].tolist(), inside["pitch"].tolist(), strict=True))


if __name__ == "__main__":
    main()
