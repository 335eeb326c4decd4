"""Count how jazz bass players walk, measure it, and write the tables into the package.

    out=src/segue/harmonize/jazz_walking.py
    PYTHONPATH=src:. python -m training.walking.fit --data ../shared/data --out $out

Source: the column `bass` of the beats of the Weimar Jazz Database (jazzodata, MIT, over ODbL 1.0; Pfleiderer
et al. 2017, Inside the Jazzomat): the bass pitch of each beat under the solo, taken from the recordings by a
program. Solos with a swing feel in four count. Tables are counts on the training pieces, one added to each;
the weights are fitted to the same by Newton's method, as the log likelihood is concave in them.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.chords import parse_chord
from segue.harmonize.walking import (
    KINDS,
    PLACES,
    Tables,
    expert_logs,
    kind_of,
    log_probabilities,
    playable,
)
from segue.metrics.bootstrap import interval_of_mean

_NEWTON_STEPS = 10


@dataclass(frozen=True)
class Beats:
    """Beats with a bass, int64 (beats,) each: as in `walking.expert_logs`, and the `tone` that was played and
    the number of the solo; `number` of the beat within its chord and the chord's tones `own` as twelve bits.
    """

    kind: np.ndarray
    place: np.ndarray
    onward: np.ndarray
    before: np.ndarray
    tone: np.ndarray
    solo: np.ndarray
    number: np.ndarray
    own: np.ndarray

    def logs(self, tables: Tables) -> np.ndarray:
        """The three tables' log probabilities, (beats, 3, 12)."""
        return expert_logs(tables, self.kind, self.place, self.onward, self.before)

    def playable(self) -> np.ndarray:
        """Which tones `walking.walk` may play, bool (beats, 12)."""
        own = (self.own[:, None] >> np.arange(12)) % 2 == 1
        rows = zip(own, self.number.tolist(), self.onward.tolist(), strict=True)
        return np.stack([playable(*row) for row in rows])


def load(folder: Path) -> tuple[Beats, Beats]:
    """The beats of the training and of the validation pieces."""
    with (folder / "solos.csv").open(encoding="utf-8") as file:
        titles = {r["melid"]: r["title"] for r in csv.DictReader(file) if r["rhythmfeel"] == "SWING"}
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (folder / "beats.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["melid"] in titles and row["period"] == "4":
                rows[row["melid"]].append(row)
    sides: tuple[list, list] = ([], [])
    for number, title in titles.items():
        sides[_validates(title)].extend(_solo(int(number), rows[number]))
    train, validation = (Beats(*np.array(side, np.int64).T) for side in sides)
    return train, validation


def _validates(title: str) -> bool:
    """The pieces that training.swing holds back, too: about a fifth, all solos over one piece together."""
    return hashlib.sha256(title.encode()).digest()[0] < 51


def _solo(number: int, rows: list[dict[str, str]]) -> list[tuple[int, ...]]:
    """One row a beat with a chord and a bass: the fields of `Beats`."""
    chords, label = [], ""
    for row in rows:
        label = row["chord"] or label
        chords.append(parse_chord(label))
    bass = [int(row["bass"]) if row["bass"] else -1 for row in rows]
    found, held = [], 0
    for i, chord in enumerate(chords):
        held = held + 1 if i and chord == chords[i - 1] else 0
        if chord is None or not chord.is_chord or bass[i] < 0:
            continue
        after = chords[i + 1] if i + 1 < len(chords) else chord
        last = after is not None and after.is_chord and after != chord
        onward = (after.root - chord.root) % 12 if last else -1
        before = (bass[i - 1] - chord.root) % 12 if i and bass[i - 1] >= 0 else -1
        place = min(held, 3) + 4 * last
        own = sum(1 << (p - chord.root) % 12 for p in set(chord.pitch_classes))
        tone = (bass[i] - chord.root) % 12
        found.append((kind_of(chord), place, onward, before, tone, number, held, own))
    return found


def fit(beats: Beats) -> Tables:
    """Tables of chances, and the three weights."""
    tones = np.ones((len(KINDS), PLACES, 12))
    np.add.at(tones, (beats.kind, beats.place, beats.tone), 1)
    approach = np.ones(12)
    last = beats.onward >= 0
    np.add.at(approach, (beats.tone - beats.onward)[last] % 12, 1)
    steps = np.ones((2, 12))
    known = beats.before >= 0
    first = (beats.place % 4 == 0).astype(int)
    np.add.at(steps, (first[known], (beats.tone - beats.before)[known] % 12), 1)
    tables = tuple(np.round(t / t.sum(axis=-1, keepdims=True), 4) for t in (tones, approach, steps))
    tables = tuple(np.maximum(t, 1e-4) for t in tables)
    logs = beats.logs((*tables, np.ones(3)))
    weights = np.ones(3)
    taken = np.take_along_axis(logs, beats.tone[:, None, None], axis=2)[:, :, 0]
    for _ in range(_NEWTON_STEPS):
        chance = np.exp(log_probabilities(weights, logs))
        expected = np.einsum("nt,nwt->nw", chance, logs)
        apart = logs - expected[:, :, None]
        curvature = np.einsum("nt,nwt,nvt->wv", chance, apart, apart)
        weights = weights + np.linalg.solve(curvature, (taken - expected).sum(axis=0))
    return (*tables, np.round(weights, 2))


def measure(beats: Beats, chance: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Top-1 and nats a beat of chances, (beats, 12), each with its 95 % interval over solos."""
    nats = -np.log(chance[np.arange(len(beats.tone)), beats.tone])
    return _by_solo(beats, _right(beats, chance)), _by_solo(beats, nats)


def _right(beats: Beats, chance: np.ndarray) -> np.ndarray:
    """Whether the first guess is right, bool (beats,)."""
    return chance.argmax(axis=1) == beats.tone


def _by_solo(beats: Beats, values: np.ndarray) -> tuple[float, ...]:
    """The mean of `values` (beats,) with its 95 % interval over solos."""
    solos = [values[beats.solo == s].mean() for s in np.unique(beats.solo)]
    return float(values.mean()), *interval_of_mean(np.array(solos))


def report(train: Beats, validation: Beats, tables: Tables) -> list[str]:
    """The measured rows, as text."""
    root = (train.tone == 0).mean()
    always = np.tile(np.where(np.arange(12) == 0, root, (1 - root) / 11), (len(validation.tone), 1))
    logs = validation.logs(tables)
    full = np.exp(log_probabilities(tables[3], logs))
    rows = {
        "root on every beat": always,
        "tones by chord and place": np.exp(log_probabilities(np.array([1.0, 0, 0]), logs)),
        "with approach and steps": full,
    }
    lines = []
    for name, chance in rows.items():
        (top, low, high), (nats, less, more) = measure(validation, chance)
        lines.append(
            f"    {name:28}{top:.3f}  ({low:.3f} to {high:.3f})  {nats:.3f}  ({less:.3f} to {more:.3f})"
        )
    played = _right(validation, full * validation.playable())
    top, low, high = _by_solo(validation, played)
    more = _by_solo(validation, played * 1.0 - _right(validation, full))
    return [
        *lines,
        f"    {'of the tones that it plays':28}{top:.3f}  ({low:.3f} to {high:.3f})",
        "    {:28}{:+.3f} ({:+.3f} to {:+.3f})".format("  more than of all", *more),
    ]


def module(train: Beats, validation: Beats, tables: Tables) -> str:
    """The module's source."""

    def table(name: str, values: np.ndarray) -> str:
        rows = "".join(f"    ({', '.join(f'{v:.4f}' for v in row)}),\n" for row in values.reshape(-1, 12))
        return f"{name} = (\n{rows})\n"

    tones, approach, steps, weights = tables
    solos = [len(np.unique(b.solo)) for b in (train, validation)]
    measured = "\n".join(report(train, validation, tables))
    return f'''"""How jazz bass players walk. Written by `training.walking.fit`.

Data: Weimar Jazz Database (ODbL 1.0, Jazzomat Research Project; Pfleiderer et al. 2017) as jazzodata (MIT).
Counted in {solos[0]} solos with a swing feel in four, {len(train.tone)} beats; measured on
{solos[1]} solos over other pieces, {len(validation.tone)} beats.

The next pitch class of the bass, the one before known: right at the first guess, and nats a beat (95 %
intervals over solos)

{measured}

Limits: the basses were taken from the recordings by a program, and a part of the tones is wrong.
"""

# fmt: off
#: Chance of each tone above the root, by kind of chord (walking.KINDS) and place (8 rows each).
{table("TONES", tones)}#: Chance of each tone above the next chord's root, on the last beat before it.
APPROACH = ({", ".join(f"{v:.4f}" for v in approach)})
#: Chance of each step up from the tone before (mod 12): within a chord, and into a new one.
{table("STEPS", steps)}#: How much tones, approach and steps count.
WEIGHTS = ({", ".join(f"{w:.2f}" for w in weights)})
'''


def main() -> None:
    """Fit, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    train, validation = load(given.data / "weimar-jazz")
    given.out.write_text(module(train, validation, fit(train)), encoding="utf-8")


if __name__ == "__main__":
    main()
