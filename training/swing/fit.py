"""Fit the swing of jazz soloists by tempo, measure it, and write it into the package.

    PYTHONPATH=src:. python -m training.swing.fit --data ../shared/data --out src/segue/humanize/jazz_swing.py

A straight line over tempo, by least squares over the solos' medians, held beyond the tempos that most of them
have. Measured on pieces that were not fitted, against straight eighths, a constant triplet (2:1) and the
constant that fits best.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from segue.metrics.bootstrap import interval_of_mean
from training.swing.data import Solo, load

KNOTS_BPM = (120.0, 310.0)
TRIPLET = 2 / 3


def fit(solos: list[Solo], quantity: str) -> np.ndarray:
    """The quantity at the knots, (knots,): constant beyond them, linear between."""
    hats = np.stack([np.interp(_tempos(solos), KNOTS_BPM, row) for row in np.eye(len(KNOTS_BPM))], axis=1)
    return np.linalg.lstsq(hats, _medians(solos, quantity), rcond=None)[0]


def spread(solos: list[Solo], quantity: str, at_knots: np.ndarray) -> tuple[float, float]:
    """Standard deviations: of the solos' medians from the table, and of pairs within a solo."""
    between = _medians(solos, quantity) - np.interp(_tempos(solos), KNOTS_BPM, at_knots)
    values = [getattr(s, quantity) for s in solos]
    within = np.concatenate([v - np.nanmedian(v) for v in values])
    # By the middle two thirds, as wrongly paired notes lie far out.
    low, high = np.nanpercentile(within, (15.87, 84.13))
    return float(between.std()), float((high - low) / 2)


def errors(solos: list[Solo], quantity: str, answer: Callable[[np.ndarray], np.ndarray]) -> tuple[float, ...]:
    """Mean absolute error of the solos' medians and of single pairs, with its 95 % interval over solos."""
    of_solos = np.abs(answer(_tempos(solos)) - _medians(solos, quantity))
    of_pairs = [np.abs(answer(s.tempo) - getattr(s, quantity)) for s in solos]
    total = np.array([np.nansum(e) for e in of_pairs])
    count = np.array([np.isfinite(e).sum() for e in of_pairs])
    interval = interval_of_mean(of_solos)
    return float(of_solos.mean()), *interval, float(total.sum() / count.sum())


def _tempos(solos: list[Solo]) -> np.ndarray:
    return np.array([np.median(s.tempo) for s in solos])


def _medians(solos: list[Solo], quantity: str) -> np.ndarray:
    return np.array([np.nanmedian(getattr(s, quantity)) for s in solos])


def table(solos: list[Solo], validation: list[Solo], quantity: str, at_knots: np.ndarray) -> list[str]:
    """The measured rows, as text."""
    constant = float(np.mean(_medians(solos, quantity)))
    rows = {
        "straight": lambda tempo: np.full(len(tempo), 0.5),
        "constant 2:1": lambda tempo: np.full(len(tempo), TRIPLET),
        f"constant {constant:.3f}": lambda tempo: np.full(len(tempo), constant),
        "by tempo": lambda tempo: np.interp(tempo, KNOTS_BPM, at_knots),
    }
    lines = []
    for name, answer in rows.items():
        solo, low, high, pair = errors(validation, quantity, answer)
        lines.append(f"{name:15}  {solo:.4f}  ({low:.4f} to {high:.4f})  {pair:.4f}")
    return lines


def main() -> None:
    """Fit, print the tables, write the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds weimar-jazz/")
    parser.add_argument("--out", type=Path, required=True, help="the Python module that is written")
    args = parser.parse_args()
    solos = load(args.data / "weimar-jazz")
    train, validation = ([s for s in solos if s.validates == v] for v in (False, True))
    places = fit(train, "place")
    between, within = spread(train, "place", places)
    measured = table(train, validation, "place", places)
    own = fit(train, "long_share")
    measured_own = table(train, validation, "long_share", own)
    delay = fit(train, "delay_ms")
    print("place:", *measured, f"spread: solos {between:.3f}, pairs {within:.3f}", sep="\n")
    print("soloist's own long share:", *measured_own, "at the knots: " + str(own.round(3)), sep="\n")
    print("delay on the beat, ms:", delay.round(1))
    args.out.write_text(_module(train, validation, places, (between, within), measured), encoding="utf-8")


def _module(
    train: list[Solo],
    validation: list[Solo],
    places: np.ndarray,
    spreads: tuple[float, float],
    measured: list[str],
) -> str:
    rows = "\n".join("    " + line for line in measured)
    pairs = [sum(len(s.place) for s in part) for part in (train, validation)]
    return f'''"""How jazz soloists swing their eighths, by tempo. Written by `training.swing.fit`.

Data: Weimar Jazz Database (ODbL 1.0, Jazzomat Research Project; Pfleiderer et al. 2017) as jazzodata (MIT).
Fitted to {len(train)} solos with a swing feel, {pairs[0]} pairs of eighths; measured on
{len(validation)} solos over other pieces, {pairs[1]} pairs. Only soloists were transcribed. The place is that
of the off-beat eighth between two beats of the band.

Mean absolute error of the place, as a share of the beat: of a solo's median (95 % interval), of single pairs

{rows}

Limits: below {KNOTS_BPM[0]:g} and above {KNOTS_BPM[-1]:g} beats a minute there are few solos, and the ends
are held. Soloists differ at one tempo by {spreads[0]:.3f} (standard deviation), and one soloist's pairs by
{spreads[1]:.3f}.
"""

#: Beats a minute, and there the place of the off-beat eighth in the beat, in [0.5, 0.75].
TEMPO_BPM = ({", ".join(f"{t:g}.0" for t in KNOTS_BPM)})
OFF_BEAT = ({", ".join(f"{p:.3f}" for p in places)})
'''


if __name__ == "__main__":
    main()
