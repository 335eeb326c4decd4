"""How far the answers of a network are moved from their mean, so that their spread nears the drummers'.

The mean over what drummers would do varies less than any drummer. Moving answers away from their mean by a
factor f brings the spread back and costs error: with x the answers' deviations from their mean and y the
drummers', the squared error changes by (f - 1)((f + 1) E[x²] - 2 E[xy]). The divergence of the groove table
is the mean of four groups of steps, each counted alike, and the errors are means of hits, of which the
on-beat steps have most. So the four factors of an output are those that give the mean divergence asked for
at the least squared error, by a Lagrange multiplier; a group of few hits is moved further than one of many.
"""

from __future__ import annotations

import numpy as np

from segue.metrics.groove import gaussian_kl

#: Factors that are tried, for each group of steps.
FACTORS = np.linspace(1, 2, 201)
#: What offsets and velocities cannot leave.
OFFSET_RANGE, VELOCITY_RANGE = (-0.5, 0.5), (0.0, 1.0)


def fit_factors(
    hits: np.ndarray,
    true: np.ndarray,
    answer: np.ndarray,
    limits: tuple[float, float],
    divergence: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Centres and factors, (4,) each, for the groups of steps mod 4.

    `hits` (n, 32, 9) bool, `true` and `answer` (n, 32, 9); `divergence` is the mean KL(true || answer) over
    the groups that the factors have to reach. The centres are means of the answers.
    """
    centre = np.zeros(4)
    error, kl = np.zeros((4, len(FACTORS))), np.zeros((4, len(FACTORS)))
    for group in range(4):
        mask = hits[:, group::4]
        y, x = true[:, group::4][mask], answer[:, group::4][mask]
        centre[group] = x.mean()
        for i, factor in enumerate(FACTORS):
            moved = np.clip(centre[group] + factor * (x - centre[group]), *limits)
            error[group, i] = np.square(moved - y).sum() / hits.sum()
            kl[group, i] = gaussian_kl(y.mean(), y.std(), moved.mean(), moved.std())

    def chosen(price: float) -> np.ndarray:
        return np.argmin(error + price * kl, axis=1)

    low, high = 0.0, 1e3
    for _ in range(60):
        price = (low + high) / 2
        reached = kl[np.arange(4), chosen(price)].mean() <= divergence
        low, high = (low, price) if reached else (price, high)
    return centre, FACTORS[chosen(high)]


def apply_factors(
    answer: np.ndarray, limits: tuple[float, float], centre: np.ndarray, factor: np.ndarray
) -> np.ndarray:
    """Answers (n, 32, 9) moved from their centres (4,) by factors (4,), by step mod 4."""
    steps = np.arange(answer.shape[1]) % 4
    c, f = centre[steps][:, None], factor[steps][:, None]
    return np.clip(c + f * (answer - c), *limits)
