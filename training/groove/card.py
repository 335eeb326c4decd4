"""The card of the groove model: front matter and prose from measured figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from training.groove.data import Windows

#: What `training.groove.seeds` has measured.
SEEDS = Path(__file__).with_name("seeds.yaml")
#: Columns of the groove table and how they are written.
COLUMNS = {
    "timing_mae_ms": ".2f",
    "timing_mse": ".5f",
    "timing_kl": ".3f",
    "velocity_kl": ".3f",
    "velocity_mae": ".2f",
}
#: The rows that METRICS.md gives for the official test split.
RECORDS = """
| on the official test split, for comparison | MAE ms | MSE 16th² | timing KL | velocity KL | velocity MAE |
|---|---|---|---|---|---|
| quantised (nothing done) | 22.62 | .0416 | | | 30.3 |
| ridge regression | 19.90 | .0340 | 4.51 | 1.67 | |
| GrooVAE Seq2Seq, about 4.1 M parameters | 18.80 | .032 | .31 | .08 | |
| 285k BiGRU with 15 % variance matching | 18.60 | .0320 | .264 | .076 | 21.3 |
""".strip()


def card_and_prose(
    table: dict[str, dict[str, float]],
    styles: str,
    interval: tuple[float, float],
    seed: int,
    seconds: float,
    validation: Windows,
) -> tuple[dict[str, Any], str]:
    """Front matter (beyond what the export adds) and prose; `styles` is the table of the styles."""
    own, ridge, written = table["groove"], table["ridge regression"], table["quantised"]
    seeds = yaml.safe_load(SEEDS.read_text(encoding="utf-8"))
    card = {
        "task": "groove: drum hits of two bars to a drummer's timing and velocity",
        "data": [
            {
                "name": "Groove MIDI Dataset v1.0.0",
                "licence": "CC BY 4.0",
                "attribution": "Magenta; Gillick, Roberts, Engel, Eck and Bamman 2019",
            }
        ],
        "headline": {
            "metric": "timing MAE ms",
            "value": round(own["timing_mae_ms"], 2),
            "floor": round(ridge["timing_mae_ms"], 2),
            "better": "lower",
        },
        "metrics": {
            # A point has no finite divergence from a drummer.
            name: {key: round(v, 4) if math.isfinite(v) else None for key, v in row.items()}
            for name, row in table.items()
        },
        "five_seeds": {
            key: {name: value[name] for name in ("mean", "sd")} for key, value in seeds["groove"].items()
        },
        "interval_95": {"timing_mae_ms": [round(x, 2) for x in interval]},
        "training": {
            "command": "python -m training.groove.train --data ../shared/data --out models/groove",
            "seconds": round(seconds),
            "seed": seed,
        },
    }
    count = len(seeds["groove"]["timing_mae_ms"]["seeds"])
    seed_rows = "\n".join(
        f"| {name} | " + " | ".join(_with_spread(row[key], form) for key, form in COLUMNS.items()) + " |"
        for name, row in seeds.items()
    )
    prose = f"""
# groove

Gives the hits of a two-bar drum pattern the timing and the velocity that a drummer would play, says how
much drummers differ there, and guesses the style. `segue humanize` uses it for drum tracks.

## Architecture
The mean of two players that differ in the seed of their training alone, each two bidirectional GRU layers
of 64 units over 32 sixteenths. Input for each sixteenth: which of nine drum classes sound, how often the
whole piece has each of them at this place of a bar (from the hits alone: it tells what kind of piece this
is, and what in these two bars is rare), the place in beat and bar, the tempo, the style where it is told.
Output for each class: offset in sixteenths (at most half a sixteenth either way), velocity, and the spread
of both (scale of a Laplace distribution), which `variation` samples. Beside them a multinomial logistic
regression from the pattern of the piece and the tempo to the ten styles.

The last step moves offsets and velocities away from their mean by a factor for each step mod 4, for the
mean over what drummers would do varies less than any drummer. The eight factors are those that bring the
divergence (KL) to what it is here at the least squared error. As the KL is a mean of four groups of steps,
each counted alike, and errors are means of hits, groups of few hits are moved further than groups of many.
They are fitted on the validation split, so the KL columns are measured where they were fitted; the row
`factors from other takes` fits them on one half of the takes and measures on the other half. The centres
are means of the answers, not of the drummers.

## Data
Groove MIDI Dataset v1.0.0 (Gillick et al. 2019, Magenta), CC BY 4.0: human drumming on an electronic kit to
a click. Official split, 4/4; trained on the beats and fills of `train`, tuned and measured on the beats of
`validation` ({len(validation)} windows, {len(validation.names)} takes, {int(validation.hits.sum())} hits).

Each player: 24 epochs, then 8 from there at half the rate with a fresh optimizer, weights averaged over the
training steps; whole units silenced for a window (0.25), hits and drums left out of the windows, a fifth of
the windows with no pattern but their own, three quarters without their style. Three minutes on two cores
where nothing else runs.

## Measured on the validation split
Variation 0, every window answered by itself. Spreads are predicted / true, in sixteenths and in MIDI units.
`groove` has `style: auto`: no style is told, and the pattern of the whole take is given, as the stage gives
that of the whole piece. `as the stage plays` are the same answers, each bar the mean over the two windows
that hold it; the factors are not fitted for that. `style given` is told the take's style where it is one of
the ten, `style as guessed` the probabilities of the guess; `two bars alone` has no pattern but that of the
window; `one player alone` is the first of the two, matched by itself.

The network here (seed {seed}):

| | MAE ms | MSE 16th² | timing KL | velocity KL | velocity MAE | spread of offsets | spread of velocities |
|---|---|---|---|---|---|---|---|
{_rows(table)}

95 % interval of the timing MAE over takes: {interval[0]:.2f} to {interval[1]:.2f} ms. What is written loses
{written["timing_mae_ms"] - own["timing_mae_ms"]:.2f} ms against the network, ridge regression
{ridge["timing_mae_ms"] - own["timing_mae_ms"]:.2f} ms.

{count} networks of as many seeds, mean ± standard deviation (`python -m training.groove.seeds`):

| | MAE ms | MSE 16th² | timing KL | velocity KL | velocity MAE |
|---|---|---|---|---|---|
{seed_rows}

{RECORDS}

## Styles
By primary style. A style is offered where the training takes hold at least ten minutes of it by at least
two drummers; of the others there is too little to tell the style from the player. Figures of the network
here on the validation takes of the style, first with `style: auto`, then with the style given; the KL needs
more than a few takes and is left out. Where a row of an offered style has no validation take, it is not
measured what telling the style brings.

{styles}

{NOTES}
"""
    return card, prose


def _rows(table: dict[str, dict[str, float]]) -> str:
    return "\n".join(
        f"| {name} | {r['timing_mae_ms']:.2f} | {r['timing_mse']:.4f} | {_figure(r['timing_kl'])} | "
        f"{_figure(r['velocity_kl'])} | {r['velocity_mae']:.1f} | "
        f"{r['timing_std_predicted']:.3f} / {r['timing_std_true']:.3f} | "
        f"{r['velocity_std_predicted']:.1f} / {r['velocity_std_true']:.1f} |"
        for name, r in table.items()
    )


def _figure(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""


def _with_spread(value: dict[str, float], form: str) -> str:
    return f"{value['mean']:{form}} ± {value['sd']:{form}}"


NOTES = """
## Through the stage
`segue evaluate groove` on the same takes, each played as a whole (`--split validation --set variation=0`; a
hit's answer is the mean over two windows, rounded to ticks and whole velocities): 18.29 ms / .0312 / .274 /
.078 / 19.7. With `variation=1`, which draws one performance: 24.38 / .0522 / .008 / .010 / 24.3, the spread
of drummers. The former model, two players of 64 units with dropout by single answers: 18.41 / .0314 / .307
/ .092 / 21.4.

## Latency
One thread, batch of one, least median of several rounds, on a shared two-core machine: ONNX Runtime 0.24
ms, LiteRT 0.25 ms a window of two bars, in float arithmetic, so that both give the same music. Under
0.15 ms are only forms that do not ship: TFLite with integer kernels (0.13 ms, see the table of forms where it
stands below), whose music would differ from ONNX's and from one processor to another, and one player alone
(0.12 ms in float arithmetic, 139 KiB), which over five seeds stays within 2 % of the two in each column. The
two ship because they are nearer to the drummers, and no one hears a tenth of a millisecond of waiting.

## Intended use and limits
Made for 4/4 on a grid of sixteenths at 60 to 200 quarters a minute; every figure here is of 4/4. Bars of
other meters are laid into the same grid from their downbeats, and the network has heard none. Through the
stage (figures in docs/humanize.md) 3/4 was measured on five takes, 6/8 on five, 5/4 and 5/8 on one each, the
first of 3/4 and of 6/8 from validation and the rest from train; 7/8, 9/8 and 12/8 on none, but for the takes
in 6/8 written as 12/8. Triplets: four validation takes; swung sixteenths: one; fills: 76; pickups and changes
of tempo: the 46 validation takes, with either put in. Triplets and swing that are written keep their place
and are moved a little on top. Told no style, it answers the mean over ten drummers, and takes that lie
consistently early or late by choice of the player cannot be told from the hits. The style that is told
stands for the few drummers who play it in the data, and not for the style as such.

## Tried and left out
All on the validation split, MAE ms / MSE / timing KL / velocity KL / velocity MAE. One seed each, and the
choice between them made on these same takes, so a new take should be expected to do a little worse. *Free*
is before the spread is matched, *matched* afterwards.

Players of 64 units with whole-unit dropout, one each:

- Dropout 0.2, 26 epochs, no style: free 18.12 / .0305 / .503 / .099 / 21.5, matched 18.35 / .0316 / .254 /
  .074 / 21.5. Dropout 0.3, 30 epochs: free 18.24 / .0308 / .485 / .117 / 21.2. Dropout 0.4, 30 epochs:
  18.23 / .0308 / .565 / .133 / 21.2. Dropout by single answers as before (0.5), after 16 of 30 epochs:
  18.53 / .0314 / .759 / .163 / 22.5, against 18.49 / .0312 / .672 / .161 / 22.0 with dropout 0.3 by whole
  units.
- Style told to half of the windows (here to a quarter): free without style 18.41 / .0312 / .506 / .119 /
  22.0, with it 18.31 / .0312 / .459 / .131 / 21.1. To a quarter: 18.23 / .0306 / .564 / .125 / 21.1 and
  18.11 / .0305 / .502 / .115 / 21.1.
- The guess as the condition of the latter: the probabilities 18.24 / .0308 / .539 / .121 / 21.1, the
  likeliest style alone 18.24 / .0308 / .519 / .117 / 21.4, the mean of the ten answers by their probability
  18.24 / .0306 / .601 / .134 / 21.2. None is better than no condition, which is why `style: auto` tells the
  network nothing.
- Distillation from the mean of three players, heard on the same disturbed windows, as 0.6 of the loss:
  18.54 / .0311 / .681 / .179 / 21.7 after 16 of 24 epochs, against 18.42 / .0311 / .609 / .133 / 21.9
  without; given up.
- The mean of players that begin at the same seed and differ in dropout alone gains nothing; of three with
  different seeds 18.28 / .0313 / .253 / .074 / 21.0 matched, of two 18.26 / .0312 / .254 / .074 / 21.0.

Both players as here but with other training; one each, free:

- Without the second cycle of 8 epochs the first seed's players stand at 18.29 / .0308 / .641 / .117 / 21.0
  and 18.37 / .0307 / .683 / .143 / 21.1, and the network at 18.50 / .0318 / .258 / .075 / 20.9 matched;
  with it at 18.27 / .0309 / .569 / .103 / 20.7 and 18.28 / .0306 / .606 / .124 / 20.7.
- Velocity counted 0.7 instead of 1.2, meant for one of the two players: 18.34 / .0310 / .585 / .134 / 22.6
  after 22 of 24 epochs. Its timing is no better, so both players learn both alike.
- Factors for each drum or each tempo beside those for the steps bring the MSE of the first seed down by
  .0003, but they are not of one direction over the tempos: that is the takes of the validation split.

One player of 96 units in the place of two:

- Dropout 0.35, 24 epochs, no style: free 18.05 / .0301 / .501 / .109 / 21.0, matched 18.31 / .0312 / .253 /
  .074 / 21.0. With style and the velocity error weighted 1.55: free 18.32 / .0309 / .559 / .117 / 20.3.
  Weighted 2, dropout 0.4, 22 epochs: free 18.42 / .0311 / .594 / .101 / 20.9, matched 18.75 / .0326 / .252
  / .074 / 20.9. As good as two of 64 when it turns out well, and it varies more from seed to seed.

Earlier versions, two players of 64 to 72 units, dropout by single answers (0.5):

- 22 epochs, matched with one share for all groups: 18.52 / .0318 / .289 / .085 / 21.5. The same network
  matched by groups to the KL of here: 18.56 / .0320 / .254 / .074 / 21.6.
- Players of 72 units: 18.52 / .0321 / .267 / .082 / 21.1.
- With the tempo disturbed by 0.08 octaves, the pattern by 20 % a drum, and decay 3e-2: the players stand at
  18.78 / .0319 and 18.68 / .0316 after 11 of 20 epochs, against 18.57 / .0315 and 18.61 / .0314; given up.
- A single network of 88 units with the pattern of the piece is at 18.34 / .0309 / .635 / .145 / 22.0 after
  13 of 20 epochs; without the pattern, 18.92 / .0330 / .705 / .152 / 22.8.
- A constant lead or lag learned for each take and drum beside the network (weight 0.1), so that the network
  need not learn takes by heart: 20.48 / .0374 / .584 / .100 / 26.7 after 6 epochs, against 19.42 / .0340
  without.
- Windows drawn so that long takes weigh less (root of their length): 19.91 / .0348 / 1.154 / .272 / 25.6
  after 4 epochs, against 19.61 / .0339 with all windows alike.
- Without the divergence of the batch in the loss, 14 epochs: free 18.73 / .0315 / 1.260 / .293 / 22.7,
  matched 19.27 / .0341; with it free 18.73 / .0320 / .826 / .176 / 23.0, matched 19.19 / .0342.
- Without the pattern of the piece: 18.54 / .0319 / .614 / .185 / 21.5 free after 30 epochs of a single
  network.
""".strip()
