"""Count the faults of harmonize's four voices over all hymn and chorale melodies.

    python -m training.harmony.four_parts --data ../shared/data

Each tune's top voice alone goes through the stage with `style: satb`, which finds the chords itself. What it
writes is looked at sonority by sonority, from its notes alone: at every tick where a voice begins or ends.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from segue import harmonize
from segue.config import defaults, stage_schema
from segue.runtime import Model, load_model
from segue.score import Score
from training.harmony.voices import chorale_scores, hymn_scores

#: Lowest and highest pitch of soprano, alto, tenor and bass, as docs/harmonize.md has them.
RANGES = ((60, 81), (53, 74), (48, 69), (40, 62))
_RESTING = -1
_PERFECT = {0: "octaves", 7: "fifths"}


def sonorities(parts: Sequence[np.ndarray], lower_only: bool = False) -> np.ndarray:
    """The pitches that the voices (NOTE arrays) sound, int64, (sonorities, voices); -1 where one rests.

    With `lower_only` there is a sonority only where one of the lower voices begins or ends, so that what the
    soprano sings in between is left out.
    """
    onset = [p["onset_tick"].astype(np.int64) for p in parts]
    end = [o + p["duration_tick"] for o, p in zip(onset, parts, strict=True)]
    first = int(lower_only)
    ticks = np.unique(np.concatenate([*onset[first:], *end[first:]]))
    rows = np.full((len(ticks), len(parts)), _RESTING)
    for voice, part in enumerate(parts):
        if not len(part):
            continue
        index = np.searchsorted(onset[voice], ticks, "right") - 1
        sounding = (index >= 0) & (end[voice][index] > ticks)
        rows[sounding, voice] = part["pitch"][index[sounding]]
    return rows


def faults(parts: Sequence[np.ndarray]) -> Counter[str]:
    """How often four voices (NOTE arrays, the soprano first) break which rule of writing."""
    rows = sonorities(parts)
    found: Counter[str] = Counter(sonorities=len(rows))
    for voice, (low, high) in enumerate(RANGES):
        sung = rows[:, voice][rows[:, voice] != _RESTING]
        found["out of range"] += int(((sung < low) | (sung > high)).sum())
    for upper, lower in combinations(range(len(parts)), 2):
        pair = rows[:, [upper, lower]]
        both = (pair != _RESTING).all(axis=1)
        apart = pair[:, 0] - pair[:, 1]
        found["crossings"] += int((both & (apart < 0)).sum())
        if lower == upper + 1 and lower < 3:
            found["more than an octave apart"] += int((both & (apart > 12)).sum())
        move = np.diff(pair, axis=0)
        moving = both[1:] & both[:-1] & (move != 0).all(axis=1)
        similar = moving & (move[:, 0] * move[:, 1] > 0)
        for interval, name in _PERFECT.items():
            reached = apart[1:] % 12 == interval
            left = apart[:-1] % 12 == interval
            found[f"parallel {name}"] += int((moving & reached & left).sum())
            direct = similar & reached & ~left
            found[f"direct {name}"] += int(direct.sum())
            if (upper, lower) == (0, 3):
                leap = np.abs(move[:, 0]) > 2
                found[f"direct {name}, outer voices, soprano leaps"] += int((direct & leap).sum())
    steps = sonorities(parts, lower_only=True)
    found["parallels masked by passing notes"] = _parallels(steps) - _parallels(rows)
    return found


def _parallels(rows: np.ndarray) -> int:
    """Consecutive unisons, fifths and octaves of all pairs of voices."""
    count = 0
    for upper, lower in combinations(range(rows.shape[1]), 2):
        pair = rows[:, [upper, lower]]
        both = (pair != _RESTING).all(axis=1)
        interval = (pair[:, 0] - pair[:, 1]) % 12
        kept = (interval[1:] == interval[:-1]) & np.isin(interval[1:], list(_PERFECT))
        count += int((kept & both[1:] & both[:-1] & (np.diff(pair, axis=0) != 0).all(axis=1)).sum())
    return count


def four_voices(
    melody: Score, model: Model, **settings: Any
) -> tuple[list[np.ndarray], dict[str, Any]] | None:
    """What the stage writes under a score of one melody track: four NOTE arrays, and its report; or None."""
    chosen = defaults(stage_schema("harmonize")) | {"style": "satb", "track": "always"} | settings
    result = harmonize.apply(melody, {"tracks": [{"role": "melody"}]}, chosen, {"harmony": model}, 0)
    if "track" not in result.report:
        return None
    return [t.notes for t in result.score.tracks[len(melody.tracks) :]], result.report


def chorale_melodies(data: Path) -> Iterator[tuple[str, Score]]:
    """The sopranos of the chorales."""
    for name, score in chorale_scores(data / "jsb-chorales"):
        yield name, replace(score, tracks=score.tracks[:1])


def hymn_melodies(data: Path) -> Iterator[tuple[str, Score]]:
    """The first voice of each hymn."""
    for name, score in hymn_scores(data / "openhymnal"):
        yield name, replace(score, tracks=score.tracks[:1])


def count(
    melodies: Iterator[tuple[str, Score]], model: Model, **settings: Any
) -> tuple[Counter[str], list[str]]:
    """The faults of all melodies together, and the names of those that have parallels."""
    total: Counter[str] = Counter()
    worst = []
    for name, melody in melodies:
        written = four_voices(melody, model, **settings)
        if written is None:
            total["without chords"] += 1
            continue
        parts, report = written
        found = faults(parts)
        total["pieces"] += 1
        total["rules said to be broken"] += report["track"]["broken_rules"]
        total.update(found)
        if found["parallel fifths"] + found["parallel octaves"]:
            worst.append(name)
    return total, worst


def main() -> None:
    """Print the counts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--grid", default="auto", help="how often the chord may change, as in the settings")
    given = parser.parse_args()
    model = load_model("harmony", "onnx")
    for name, melodies in (("hymns", hymn_melodies(given.data)), ("chorales", chorale_melodies(given.data))):
        total, worst = count(melodies, model, grid=given.grid)
        print(json.dumps({name: dict(total), "with parallels": worst}, indent=1))


if __name__ == "__main__":
    main()
