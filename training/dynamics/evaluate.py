"""Floors, predictions over whole pieces, and the measurement of velocities and timing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from segue.humanize.phrasing import NOTE_FEATURES, PART_FEATURES, join_windows, split_windows
from segue.metrics.bootstrap import interval_of_mean
from segue.metrics.dynamics import centred, timing_scores, velocity_scores
from training.dynamics.data import Performance
from training.dynamics.network import DynamicsNetwork

RIDGE_PENALTY, RIDGE_REACH = 100.0, 4

#: Velocities in [0, 1] and timing in ms for a piece, (n,) each.
Predictor = Callable[[Performance], tuple[np.ndarray, np.ndarray]]
Answers = list[tuple[np.ndarray, np.ndarray]]


def network_predictor(network: DynamicsNetwork) -> Predictor:
    """Whole pieces over the windows that the stage uses."""

    def predict(piece: Performance) -> tuple[np.ndarray, np.ndarray]:
        windows = torch.from_numpy(split_windows(piece.features))
        with torch.no_grad():
            velocity, timing, _, _ = network(windows, torch.from_numpy(piece.row).expand(len(windows), -1))
        count = len(piece.velocity)
        return join_windows(velocity.numpy(), count), join_windows(timing.numpy(), count)

    return predict


def flat_predictor(pieces: list[Performance]) -> Predictor:
    """The median velocity of the training notes everywhere, nothing late or early."""
    level = float(np.median(np.concatenate([p.velocity for p in pieces])))
    return lambda piece: (np.full(len(piece.velocity), level), np.zeros(len(piece.velocity)))


def _neighbourhood(piece: Performance) -> np.ndarray:
    """Features of each note and of `RIDGE_REACH` notes to either side, of the part, and a one."""
    padded = np.pad(piece.features, ((RIDGE_REACH, RIDGE_REACH), (0, 0)))
    count = len(piece.features)
    columns = [padded[i : i + count] for i in range(2 * RIDGE_REACH + 1)]
    rows = np.broadcast_to(piece.row, (count, PART_FEATURES))
    return np.hstack([*columns, rows, np.ones((count, 1), np.float32)]).astype(np.float64)


def ridge_predictor(pieces: list[Performance]) -> Predictor:
    """Ridge regression from everything that the network is told of a note, its neighbours and its part."""
    size = NOTE_FEATURES * (2 * RIDGE_REACH + 1) + PART_FEATURES + 1
    gram, moment = np.zeros((2, size, size)), np.zeros((2, size))
    for piece in pieces:
        x = _neighbourhood(piece)
        gram[0] += x.T @ x
        moment[0] += x.T @ piece.velocity
        timed = np.isfinite(piece.timing)
        gram[1] += x[timed].T @ x[timed]
        moment[1] += x[timed].T @ piece.timing[timed]
    weights = [
        np.linalg.solve(g + RIDGE_PENALTY * np.eye(size), m) for g, m in zip(gram, moment, strict=True)
    ]

    def predict(piece: Performance) -> tuple[np.ndarray, np.ndarray]:
        x = _neighbourhood(piece)
        return np.clip(x @ weights[0], 0, 1), x @ weights[1]

    return predict


def score_all(pieces: list[Performance], answers: Answers) -> dict[str, float]:
    """The piano row over pieces, the centred velocity MAE, and the timing figures where timing is known."""
    velocity = np.concatenate([a[0] for a in answers]) * 127
    true = np.concatenate([p.velocity for p in pieces]) * 127
    index = np.repeat(np.arange(len(pieces)), [len(p.velocity) for p in pieces])
    scores = velocity_scores(true, velocity)
    phrasing = centred(true, index), centred(velocity, index)
    scores["centred_velocity_mae"] = float(np.abs(phrasing[0] - phrasing[1]).mean())
    scores["centred_std_predicted"] = float(phrasing[1].std())
    scores["centred_std_true"] = float(phrasing[0].std())
    timing = np.concatenate([p.timing for p in pieces])
    if np.isfinite(timing).any():
        scores |= timing_scores(timing, np.concatenate([a[1] for a in answers]))
    return scores


def spread_share(pieces: list[Performance], answers: Answers) -> float:
    """The standard deviation of the predicted velocities as a share of the true one."""
    predicted = np.concatenate([a[0] for a in answers])
    return float(predicted.std() / np.concatenate([p.velocity for p in pieces]).std())


def bootstrap(pieces: list[Performance], answers: Answers) -> tuple[float, float]:
    """95 % interval of the velocity MAE, pieces drawn with replacement."""
    errors = [np.abs(p.velocity - a[0]) * 127 for p, a in zip(pieces, answers, strict=True)]
    return interval_of_mean(np.concatenate(errors), np.repeat(np.arange(len(errors)), list(map(len, errors))))
