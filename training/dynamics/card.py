"""The card of the dynamics model: front matter and prose from measured figures."""

from __future__ import annotations

from typing import Any

from training.dynamics.data import Performance

Tables = dict[str, dict[str, dict[str, float]]]


def card_and_prose(
    tables: Tables,
    interval: tuple[float, float],
    seed: int,
    seconds: float,
    sets: dict[str, list[Performance]],
) -> tuple[dict[str, Any], str]:
    """Front matter (beyond what the export adds) and prose."""
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
            "value": round(pop["dynamics"]["velocity_mae"], 2),
            "floor": round(pop["ridge regression"]["velocity_mae"], 2),
            "better": "lower",
        },
        "metrics": {
            name: {row: {k: round(v, 4) for k, v in scores.items()} for row, scores in table.items()}
            for name, table in tables.items()
        },
        "interval_95": {"velocity_mae": [round(x, 2) for x in interval]},
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
        f"{name}: {len(pieces)} pieces, {sum(len(p.velocity) for p in pieces)} notes"
        for name, pieces in sets.items()
    )
    prose = f"""
# dynamics

Gives the notes of a pitched track a player's velocities and slight timing, and says how much players differ
there. `segue humanize` uses it for every track that is not drums; it keeps the track's level and takes the
phrasing.

## Architecture
Four residual convolutions (48 channels, 5 taps, dilations 1, 2, 4, 8) over 128 notes in order. Input for
each note: pitch, place in its chord, rounded intervals in time and duration, density, and the place in beat
and bar where the piece tells. Output for each note: velocity, timing in ms, and the spread of both (scale of
a Laplace distribution).

## Data
POP909 piano tracks (Wang et al. 2020), MIT: played velocities, onsets almost all quantised. 52 pieces of
GiantMIDI-Piano (Kong et al. 2020), CC BY 4.0: velocities and onsets transcribed from recordings, no beats;
their velocities are shifted to POP909's mean level. Timing is learned from GiantMIDI alone, as what can be
told without a score: distance of a chord's notes from their mean, and of a chord from an even pulse within
even runs. Split by song; versions of one song (shared melodic six-grams) and movements by one composer stay
together. Validation: {sizes}.

## Measured on validation
Whole pieces, one seed. Spreads are predicted / true. `centred`: velocities less their piece's mean, which is
what the stage plays.

{velocity_table("POP909 piano", pop)}

95 % interval of the network's velocity MAE over songs: {interval[0]:.2f} to {interval[1]:.2f}.

{velocity_table("GiantMIDI", piano)}

| GiantMIDI timing | MAE ms | spread |
|---|---|---|
{timing}

For comparison, on MAESTRO (not the same data): U-Net 11.48 / 226 / .638 / .367, flat 15.3.

{NOTES}
"""
    return card, prose


def velocity_table(title: str, table: dict[str, dict[str, float]]) -> str:
    """A Markdown table of the velocity figures."""
    head = f"| {title} | MAE | MSE | within 10 % | within 5 % | spread | centred MAE |\n" + "|---" * 7 + "|"
    rows = [
        f"| {row} | {s['velocity_mae']:.2f} | {s['velocity_mse']:.0f} | {s['within_10_percent']:.3f} | "
        f"{s['within_5_percent']:.3f} | {s['velocity_std_predicted']:.1f} / {s['velocity_std_true']:.1f} | "
        f"{s['centred_velocity_mae']:.2f} |"
        for row, s in table.items()
    ]
    return "\n".join([head, *rows])


NOTES = """
## Latency
One thread, batch of one, median after warm-up, on a shared two-core machine, for 128 notes (96 new ones):
ONNX Runtime 0.09 ms, LiteRT 0.08 ms.

## Intended use and limits
Learned from the piano; on other instruments it gives phrasing by contour, density and place in the bar, not
the instrument's own. It answers a level as well, but the stage takes only the deviations from the track's
mean: the level of a piece cannot be known from its notes. Timing is small (a few ms) and hardly predictable
without a score: most of it comes from `variation`. Intervals between played onsets are rounded before the
network sees them, and a little of the timing figure may still be read off the rounding.

## Tried and left out
- Timing from POP909: in nine songs of ten, five notes of six or more lie on one grid to 4 ticks, so it has
  next to nothing to teach.
- One epoch instead of ten: velocity MAE 12.16 on POP909, 11.87 on GiantMIDI.
""".strip()
