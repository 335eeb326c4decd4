"""The card of the dynamics model: front matter and prose from measured figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from segue.humanize.phrasing import WINDOW_NOTES
from training.dynamics.data import Performance
from training.dynamics.network import CHANNELS, DILATIONS, PLAYERS

Table = dict[str, dict[str, float]]
Tables = dict[str, Table]

TITLES = {"pop909": "POP909 piano", "giantmidi": "GiantMIDI", "pooled": "Both sets"}
FLAT, RIDGE, MODEL = "flat", "ridge regression", "dynamics"


def card_and_prose(
    seeds: list[Tables],
    intervals: dict[str, tuple[float, float]],
    factor: tuple[float, float],
    seed: int,
    seconds: float,
    sets: dict[str, list[Performance]],
) -> tuple[dict[str, Any], str]:
    """Front matter (beyond what the export adds) and prose.

    `seeds` are the tables of each training, that of the shipped network first; `factor` are what matches its
    spread, without and with beats.
    """
    tables = seeds[0]
    pop, piano = tables["pop909"], tables["giantmidi"]
    card = {
        "task": "dynamics: notes of a pitched track to a player's velocities and slight timing",
        "data": [
            {"name": "POP909", "licence": "MIT", "attribution": "Music X Lab; Wang et al. 2020"},
            {
                "name": "GiantMIDI-Piano, 52 pieces",
                "licence": "CC BY 4.0",
                "attribution": "ByteDance; Kong, Li, Chen and Wang 2020",
            },
        ],
        "headline": {
            "metric": "velocity MAE, POP909 piano",
            "value": round(pop[MODEL]["velocity_mae"], 2),
            "floor": round(pop[RIDGE]["velocity_mae"], 2),
            "better": "lower",
        },
        "metrics": {
            name: {row: {k: round(v, 4) for k, v in scores.items()} for row, scores in table.items()}
            for name, table in tables.items()
        },
        "interval_95": {name: [round(x, 2) for x in interval] for name, interval in intervals.items()},
        "training": {
            "command": "python -m training.dynamics.train --data ../shared/data --out models/dynamics",
            "seconds": round(seconds),
            "seed": seed,
        },
    }
    timing = "\n".join(
        f"| {row} | {s['timing_mae_ms']:.2f} | {s['timing_std_predicted']:.2f} / {s['timing_std_true']:.2f} |"
        for row, s in piano.items()
    )
    sizes = ", ".join(
        f"{TITLES[name]}: {len(pieces)} pieces, {sum(len(p.velocity) for p in pieces)} notes"
        for name, pieces in sets.items()
    )
    found, songs = sum(p.on_beats for p in sets["pop909"]), len(sets["pop909"])
    convolutions, dilations = len(DILATIONS), ", ".join(map(str, DILATIONS))
    ranges = ", ".join(f"{TITLES[name]} {low:.2f} to {high:.2f}" for name, (low, high) in intervals.items())
    measured = "".join(velocity_table(TITLES[name], table) for name, table in tables.items())
    prose = f"""
# dynamics

Gives the notes of a pitched track a player's velocities and slight timing, and says how much players differ
there. `segue humanize` uses it for every track that is not drums; it keeps the track's level and takes the
phrasing.

## Architecture
The mean of {PLAYERS} players, each of {convolutions} residual convolutions ({CHANNELS} channels, 5 taps,
dilations {dilations}) over {WINDOW_NOTES} notes by chord and pitch. Input for each note: pitch and
register, its place in the chord and under the highest and lowest notes around it, intervals in time and
durations (rounded to half octaves), density near and far against that of the piece, repetition, place in
the piece, place in beat and bar where the piece tells, and what the other tracks do meanwhile. A row of
figures of the whole part (register, texture, rhythm, tempo, share of the other tracks) tells what kind of
playing it is. Output for each note: velocity, timing in ms, and the spread of both (scale of a Laplace
distribution).

Velocities are moved away from the mean of the training notes, where the piece tells its beats by the factor
{factor[1]:.3f} and elsewhere by {factor[0]:.3f}, so that their standard deviation is 72 % of the players' on
either set; a row below says what that costs.

## Data
POP909 piano tracks (Wang et al. 2020), MIT: played velocities, onsets almost all quantised, so there is
no timing to learn. 52 pieces of GiantMIDI-Piano (Kong et al. 2020), CC BY 4.0: velocities and onsets
transcribed from recordings, no beats; their velocities are shifted to POP909's mean level. Timing is
learned from GiantMIDI alone, as what can be told without a score: distance of a chord's notes from their
mean, and of a chord from an even pulse within even runs. Split by song; versions of one song (shared
melodic six-grams) and movements by one composer stay together. Validation:
{sizes}.

POP909's files run over a grid that nobody played to. Training saw each song twice, with the annotated
beats and bars, and with the beats that the stage finds in the file by itself (in {found} of {songs}
validation songs); the figures are with what the stage finds.

## Measured on validation
Whole pieces. Spreads are predicted / true standard deviations. `centred`: velocities less their piece's
mean, which is what the stage plays. The floors: the median of the training notes everywhere; ridge
regression from all that the network is told of a note, of four notes to either side, and of the part.

{measured}95 % intervals of the model's velocity MAE over pieces: {ranges}.

Timing is measured where it is known:

| GiantMIDI timing | MAE ms | spread |
|---|---|---|
{timing}

For comparison, on MAESTRO (not the same data): U-Net 11.48 / 226 / .638 / .367, flat 15.3.

{bars(seeds)}
{NOTES}
"""
    return card, prose


def velocity_table(title: str, table: Table) -> str:
    """A Markdown table of the velocity figures."""
    head = f"| {title} | MAE | MSE | within 10 % | within 5 % | spread | centred MAE | centred spread |\n"
    rows = [
        f"| {row} | {s['velocity_mae']:.2f} | {s['velocity_mse']:.0f} | {s['within_10_percent']:.3f} | "
        f"{s['within_5_percent']:.3f} | {s['velocity_std_predicted']:.1f} / {s['velocity_std_true']:.1f} | "
        f"{s['centred_velocity_mae']:.2f} | "
        f"{s['centred_std_predicted']:.1f} / {s['centred_std_true']:.1f} |\n"
        for row, s in table.items()
    ]
    return "".join([head, "|---" * 8 + "|\n", *rows, "\n"])


def bars(seeds: list[Tables]) -> str:
    """What was asked for and what is reached, on each set, over all trainings."""
    lines = [
        f"What is asked for, and the mean and the range over {len(seeds)} training seeds:\n\n",
        "| set | MAE under flat (15 %) | MAE under ridge (5 %) | spread of the true one (70 %) |\n",
        "|---|---|---|---|\n",
    ]
    for name, title in TITLES.items():
        cells = []
        for what in (
            lambda t: 1 - t[MODEL]["velocity_mae"] / t[FLAT]["velocity_mae"],
            lambda t: 1 - t[MODEL]["velocity_mae"] / t[RIDGE]["velocity_mae"],
            lambda t: t[MODEL]["velocity_std_predicted"] / t[MODEL]["velocity_std_true"],
        ):
            values = 100 * np.array([what(tables[name]) for tables in seeds])
            cells.append(f"{values.mean():.1f} % ({values.min():.1f} to {values.max():.1f})")
        lines.append(f"| {title} | {' | '.join(cells)} |\n")
    return "".join(lines)


NOTES = """
## Latency
One thread, batch of one, median after warm-up, on a shared two-core machine, for 256 notes (192 new ones):
ONNX Runtime 0.52 ms, LiteRT 0.46 ms.

## Intended use and limits
Learned from the piano; on other instruments it gives phrasing by contour, density and place in the bar,
not the instrument's own. A part without others beside it is phrased by its own melody, as GiantMIDI's
are, and one with others as an accompaniment, as POP909's: in block chords on their own the top note is 15
louder than the mean and 4 ms early. Short, simple pieces get less of a range than songs (a standard
deviation of 3 to 7). A good part of what it knows is the level of a song, from its texture; the stage
takes only the deviations from the track's mean. Timing is small (a few ms) and hardly predictable without
a score: a chord's top note comes first by a few ms, and most of the rest comes from `variation`. How far
the spread goes beyond what is expected is a choice: the factor makes errors slightly larger and the
playing livelier.

## Tried and left out
- No beats at all: a velocity MAE of 10.31 instead of 10.24 on POP909; most of what beats tell, intervals tell
  too.
- Leaving the other tracks out of some of POP909's windows: parts on their own were then phrased as
  accompaniments, the top note of block chords 1 above the mean.
- Timing from POP909: in nine songs of ten, five notes of six or more lie on one grid to 4 ticks, so it has
  next to nothing to teach.
- The order of a chord's notes in time, and exact durations, as inputs: both give away what is asked (a
  timing MAE of 5.7 ms instead of 6.6), and nothing of that is known when a written piece is played.
""".strip()
