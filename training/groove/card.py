"""The card of the groove model: front matter and prose from measured figures."""

from __future__ import annotations

import math
from typing import Any

from training.groove.data import Windows

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
    interval: tuple[float, float],
    seed: int,
    seconds: float,
    validation: Windows,
) -> tuple[dict[str, Any], str]:
    """Front matter (beyond what the export adds) and prose."""
    own, ridge, written = table["groove"], table["ridge regression"], table["quantised"]
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
        "interval_95": {"timing_mae_ms": [round(x, 2) for x in interval]},
        "training": {
            "command": "python -m training.groove.train --data ../shared/data --out models/groove",
            "seconds": round(seconds),
            "seed": seed,
        },
    }
    rows = "\n".join(
        f"| {name} | {r['timing_mae_ms']:.2f} | {r['timing_mse']:.4f} | {_figure(r['timing_kl'])} | "
        f"{_figure(r['velocity_kl'])} | {r['velocity_mae']:.1f} | "
        f"{r['timing_std_predicted']:.3f} / {r['timing_std_true']:.3f} | "
        f"{r['velocity_std_predicted']:.1f} / {r['velocity_std_true']:.1f} |"
        for name, r in table.items()
    )
    prose = f"""
# groove

Gives the hits of a two-bar drum pattern the timing and the velocity that a drummer would play, and says how
much drummers differ there. `segue humanize` uses it for drum tracks.

## Architecture
Two bidirectional GRU layers of 88 units over 32 sixteenths. Input for each sixteenth: which of nine drum
classes sound, the place in beat and bar, the tempo. Output for each class: offset in sixteenths (at most half
a sixteenth either way), velocity, and the spread of both (scale of a Laplace distribution), which `variation`
samples. The last step moves offsets and velocities away from their mean by a fixed factor for each step mod
4, so that their spread comes to 0.6 and 0.75 of the drummers'; these eight factors are fitted on the
validation split, so the KL columns below are measured where they were fitted.

## Data
Groove MIDI Dataset v1.0.0 (Gillick et al. 2019, Magenta), CC BY 4.0: human drumming on an electronic kit to
a click. Official split, 4/4; trained on the beats and fills of `train`, tuned and measured on the beats of
`validation` ({len(validation)} windows, {len(validation.names)} takes, {int(validation.hits.sum())} hits).

## Measured on the validation split
Variation 0, one window at a time, one seed. Spreads are predicted / true, in sixteenths and in MIDI units.

| | MAE ms | MSE 16th² | timing KL | velocity KL | velocity MAE | spread of offsets | spread of velocities |
|---|---|---|---|---|---|---|---|
{rows}

95 % interval of the timing MAE over takes: {interval[0]:.2f} to {interval[1]:.2f} ms. What is written loses
{written["timing_mae_ms"] - own["timing_mae_ms"]:.2f} ms against the network, ridge regression
{ridge["timing_mae_ms"] - own["timing_mae_ms"]:.2f} ms.

{RECORDS}

{NOTES}
"""
    return card, prose


def _figure(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""


NOTES = """
## Latency
One thread, batch of one, median after warm-up, on a shared two-core machine: ONNX Runtime 0.20 ms,
LiteRT 0.26 ms (`python -m benchmarks.run --only models`). Training took 361 s of one core.

## Intended use and limits
Made for 4/4 on a grid of sixteenths at 60 to 200 quarters a minute. Bars of other meters are laid into the
same grid from their downbeats; the network has heard none. Triplets and swing that are written keep their
place and are moved a little on top. It knows nothing of style or of the player: it answers the mean over ten
drummers, and takes that lie consistently early or late by choice of the player cannot be told from the hits.

## Tried and left out
All on the validation split, MAE ms / MSE / timing KL / velocity KL / velocity MAE.

- Without the divergence of the batch in the loss, dropout 0.4, hits left out less often (0.1), rate 2e-3:
  18.54 / .0319 / .614 / .185 / 21.5 after 30 epochs, 18.77 / .0321 / .895 / .270 / 22.4 after 20 epochs with
  86 units; matched to the same spread, the latter is 19.08 / .0335 / .387 / .121.
- As now but with 86 units and 22 epochs: 18.78 / .0330 / .393 / .109 / 22.5.
- The plain mean of two networks (86 and 88 units): 18.43 / .0315 / .662 / .176 / 21.7: a teacher for a later
  version. Two networks of 60 units, with the tempo disturbed by 6 %: 19.36 after 10 of 20 epochs, given up.
- Dropout 0.3 and hits left out at 0.05: 19.57 / .0340 after 10 epochs; takes are learned by heart.
- A higher share in the spread matching: the timing KL falls to .27 at 0.65, for 0.2 ms more of MAE.
""".strip()
