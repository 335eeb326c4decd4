"""How well a reference's feel is taken and played: `python -m benchmarks.feel --data ../shared/data/groove`.

Three tables. The first plays the hits of validation takes, quantised and at one velocity, with
`variation: 0`: as the model plays them and with feels of several sources; errors against the drummer, mean
over takes. The second renders takes with the project's own synthesizer and finds their onsets again; the bias
that it prints, before correction, is what `BIAS_MS` of `segue.humanize.feel.audio` holds. The third asks in
which unit timing carries over from one take of a drummer and style to another at another tempo (training and
validation takes).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np

from segue import render
from segue.config import check_stage
from segue.humanize.encoding import CLASS_OF_PITCH
from segue.humanize.evaluate import Take, performances, read_take, replay
from segue.humanize.feel import Feel
from segue.humanize.feel import audio as feel_audio
from segue.humanize.feel.extract import feel_of
from segue.humanize.feel.file import feel_to_dict
from segue.runtime import load_model
from segue.score import Score, seconds_from_ticks
from segue.stage import StageError

#: Takes shorter than this have no two halves to compare.
FEWEST_HITS = 120
#: Of each take so many seconds are rendered; of all takes every so-manieth.
RENDERED_S, EVERY = 60, 3
#: An estimated onset is right within this.
WINDOW_S = 0.025
#: Hits nearer than this to others are one onset to the ear; errors are also told of those further apart.
MERGED_S, ALONE_S = 0.02, 0.05


@dataclass(frozen=True)
class Entry:
    """A take with what info.csv says of it, its feel, and that of its first half."""

    take: Take
    drummer: str
    style: str
    feel: Feel
    first_half: Feel
    in_second: np.ndarray


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/groove"))
    options = parser.parse_args()
    entries = read_entries(options.data)
    print(reference_table(entries))
    print()
    print(audio_table(entries[::EVERY]))
    print()
    print(unit_table(options.data))


def read_entries(folder: Path, split: str = "validation") -> list[Entry]:
    """The takes of a split of which a feel can be taken."""
    with (folder / "info.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["midi_filename"]: row for row in csv.DictReader(file)}
    entries = []
    for path in performances(folder, split):
        row = rows[str(path.relative_to(folder))]
        try:
            take = read_take(path)
            if len(take.hits.step) < FEWEST_HITS:
                continue
            middle = round(float(np.median(take.hits.step)) / 16) * 3840
            feel, first = feel_of(take.score, path.stem), feel_of(cut(take.score, middle), path.stem)
        except StageError as error:
            if split == "validation":
                print(f"{path.name}: left out: {error}")
            continue
        style = row["style"].split("/")[0]
        entries.append(Entry(take, row["drummer"], style, feel, first, take.hits.step * 240 >= middle))
    return entries


def cut(score: Score, tick: int) -> Score:
    """The score without the notes from `tick` on."""
    tracks = (t.with_notes(t.notes[t.notes["onset_tick"] < tick]) for t in score.tracks)
    return replace(score, tracks=tuple(tracks))


def reference_table(entries: list[Entry]) -> str:
    """Errors of the model and of feels, over whole takes and over second halves."""
    rng = np.random.default_rng(0)
    models = {"drums": load_model("groove")}
    settings = check_stage("humanize", {"variation": 0})
    rows: dict[str, list[tuple[float, ...]]] = {}

    def pick(keep: Callable[[Entry], bool]) -> Feel | None:
        found = [e.feel for e in entries if keep(e)]
        return found[rng.integers(len(found))] if found else None

    for entry in entries:
        alike = pick(lambda e, me=entry: e is not me and (e.drummer, e.style) == (me.drummer, me.style))
        first = feel_to_dict(entry.first_half)
        references: dict[str, dict[str, Any] | None] = {
            "the model": {},
            "its own feel": {"groove": feel_to_dict(entry.feel)},
            "its first half": {"groove": first},
            "its first half, 0.75 of the way from the model": {"blend": ["model", first, 0.75]},
            "same drummer and style": alike and {"groove": feel_to_dict(alike)},
            "any other take": {"groove": feel_to_dict(pick(lambda e, me=entry: e is not me))},
        }
        hits = entry.take.hits
        for name, reference in references.items():
            if reference is None:
                continue
            offset, velocity = replay(entry.take, 64, settings | reference, models, 0)
            late = np.abs(offset - hits.offset) * 15000 / hits.bpm
            loud = np.abs(velocity - hits.velocity) * 127
            second = entry.in_second
            rows.setdefault(name, []).append(
                (late.mean(), loud.mean(), late[second].mean(), loud[second].mean(), alike is not None)
            )
    lines = [
        "| reference | takes | timing MAE ms | velocity MAE | second halves: ms | velocity |",
        "|---|---|---|---|---|---|",
    ]
    # Only some takes have another of their drummer and style: the model again, over those alone.
    rows["the model, where there is such a take"] = [row for row in rows["the model"] if row[4]]
    for name, values in rows.items():
        figures = " | ".join(f"{v:.1f}" for v in np.mean(values, axis=0)[:4])
        lines.append(f"| {name} | {len(values)} | {figures} |")
    return "\n".join(lines)


def audio_table(entries: list[Entry]) -> str:
    """Onsets found in rendered takes against those that were played."""
    settings = check_stage("render", {"format": "wav"})
    rows, raw, alone_errors, tempos = [], [], [], []
    profile: list[tuple[float, float]] = []
    for entry in entries:
        score = cut(entry.take.score, int(RENDERED_S * entry.take.hits.bpm[0] / 60 * 960))
        data = render.apply(score, {}, settings, {}, 0).audio
        true, alone = true_onsets(score)
        audio, rate = feel_audio.read_audio(data)
        found, strength = feel_audio.find_onsets(audio, rate)
        pairs = np.array(mir_eval.util.match_events(true, found, WINDOW_S))
        error = (found[pairs[:, 1]] - true[pairs[:, 0]]) * 1000
        raw.append(np.median((error + feel_audio.BIAS_MS)[alone[pairs[:, 0]]]))
        alone_errors.append(np.abs(error[alone[pairs[:, 0]]]))
        rows.append(
            (
                len(pairs) / len(true),
                len(pairs) / len(found),
                np.abs(error).mean(),
                np.median(np.abs(error)),
                np.median(error),
            )
        )
        bpm = 60 / feel_audio.find_quarter(found, strength)
        tempos.append(bpm / entry.take.hits.bpm[0])
        try:
            profile.append(profile_error(entry, score, data))
        except StageError as error:
            print(f"{entry.take.path.name}, rendered: {error}")
    recall, precision, mean, median, bias = np.mean(rows, axis=0)
    isolated = np.concatenate(alone_errors)
    right = np.mean(np.abs(np.array(tempos) - 1) < 0.005)
    octave = np.mean(np.abs(np.abs(np.log2(tempos)) - 1) < 0.01)
    heard, missed = np.mean(profile, axis=0)
    return "\n".join(
        [
            f"{len(rows)} rendered takes, at most {RENDERED_S} s each:",
            f"recall {recall:.3f}, precision {precision:.3f} within 25 ms",
            f"error ms: mean {mean:.2f}, median {median:.2f}; of hits alone within 50 ms: mean "
            f"{isolated.mean():.2f}, median {np.median(isolated):.2f} ({len(isolated)} hits)",
            f"bias ms: {np.mean(raw):.2f} before correction (hits alone; from {min(raw):.2f} to "
            f"{max(raw):.2f}), {bias:.2f} after (all)",
            f"tempo within 0.5 %: {right:.0%}, twice or half of it: {octave:.0%}",
            f"timing of places, heard against played: {heard:.2f} ms apart; taking all as on the grid: "
            f"{missed:.2f} ms",
        ]
    )


def true_onsets(score: Score) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of the onsets of a score, those within 20 ms as one, and whether each is alone within 50 ms."""
    ticks = np.concatenate([t.notes["onset_tick"] for t in score.tracks])
    seconds = np.sort(seconds_from_ticks(score, ticks))
    onsets = [seconds[0]]
    for second in seconds[1:]:
        if second - onsets[-1] > MERGED_S:
            onsets.append(second)
    distinct = np.array(onsets)
    apart = np.abs(seconds[None] - distinct[:, None])
    alone = (apart < ALONE_S).sum(1) == 1
    return distinct, alone


def profile_error(entry: Entry, score: Score, data: bytes) -> tuple[float, float]:
    """Mean distance from the played timing of places in ms: of that heard (tempo and bars given), of zero."""
    bpm = float(entry.take.hits.bpm[0])
    heard = feel_audio.feel_from_audio(data, "", bpm, 0.0, entry.feel.meter)
    played = feel_of(score, "")
    count = played.count.sum(1)
    timing = (played.count * np.nan_to_num(played.timing.mean)).sum(1) / np.maximum(count, 1)
    both = (count > 3) & (heard.count[:, 0] > 3)
    distance = np.abs(heard.timing.mean[both, 0] - timing[both])
    return float(distance.mean()), float(np.abs(timing[both]).mean())


def unit_table(folder: Path) -> str:
    """Errors in ms of one take's feel at the hits of another, timing carried over by powers of the tempo."""
    entries = read_entries(folder, "train") + read_entries(folder)
    powers = (0.0, 0.5, 1.0)
    rows = []
    for one in entries:
        for two in entries:
            if one is two or (one.drummer, one.style) != (two.drummer, two.style):
                continue
            ratio = one.feel.bpm / two.feel.bpm
            hits, table = two.take.hits, one.feel.timing_tables.mean
            late = table[hits.step % 16 * 3, CLASS_OF_PITCH[hits.pitch]]
            late = np.where(np.isfinite(late), late, table[hits.step % 16 * 3, -1])
            true = hits.offset * 15000 / hits.bpm
            errors = [np.abs(true - late * ratio**power).mean() for power in powers]
            rows.append((max(ratio, 1 / ratio), *errors))
    table = np.array(rows)
    lines = ["| tempos apart | pairs | as ms | in between | as shares of a step |", "|---|---|---|---|---|"]
    for low, high in ((1.0, 1.1), (1.3, 1.6), (1.6, 2.5)):
        within = table[(table[:, 0] >= low) & (table[:, 0] < high)]
        figures = " | ".join(f"{error:.2f}" for error in within[:, 1:].mean(0))
        lines.append(f"| {low} to {high} times | {len(within)} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
