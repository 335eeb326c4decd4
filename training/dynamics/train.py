"""Train, evaluate and export the dynamics network.

    PYTHONPATH=src:. python -m training.dynamics.train --data ../shared/data --out models/dynamics

Loss: absolute error of the velocities, absolute and squared error of the velocities less their window's mean
(phrasing without the level), absolute error of the timing where it is known, and, on the detached errors,
the Laplace likelihood that teaches the spreads.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segue.humanize.phrasing import FEATURES, WINDOW_NOTES, join_windows, split_windows
from segue.metrics.dynamics import centred, timing_scores, velocity_scores
from training.common.export import export_model
from training.dynamics.card import card_and_prose
from training.dynamics.data import Performance, load_giantmidi, load_pop909, windows
from training.dynamics.network import DynamicsNetwork

EPOCHS, BATCH, RATE, DECAY = 10, 32, 2e-3, 1e-2
VELOCITY_ERROR, TIMING_ERROR_MS, LIKELIHOOD_WEIGHT = 0.09, 14.0, 0.1
#: Probability that a training window is told neither beat nor bar, or the beat alone.
NO_BEAT, NO_BAR = 0.15, 0.3
BEAT_COLUMN, BAR_COLUMN = 13, 17
RIDGE_PENALTY, RIDGE_REACH = 100.0, 4
OUTPUTS = ["velocity", "timing", "velocity_spread", "timing_spread"]
EXAMPLES = 16

#: Velocities in [0, 1] and timing in ms for a piece, (n,) each.
Predictor = Callable[[Performance], tuple[np.ndarray, np.ndarray]]


def window_centred(values: Tensor, mask: Tensor) -> Tensor:
    """Values (batch, 128) less the mean of their window over the notes in `mask`."""
    return values - (values * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)


def loss_of(network: DynamicsNetwork, features: Tensor, velocity: Tensor, timing: Tensor) -> Tensor:
    """The training loss of a batch; see the module."""
    v, t, v_spread, t_spread = network(features)
    mask, timed = torch.isfinite(velocity), torch.isfinite(timing)
    truth = torch.nan_to_num(velocity)
    level = (v - truth)[mask].abs().mean()
    phrasing = (window_centred(v, mask) - window_centred(truth, mask))[mask]
    loss = (level + phrasing.abs().mean() + 3 * (phrasing**2).mean()) / VELOCITY_ERROR
    v_spread = v_spread[mask]
    loss = loss + LIKELIHOOD_WEIGHT * (phrasing.detach().abs() / v_spread + v_spread.log()).mean()
    if timed.any():
        error, t_spread = (t - torch.nan_to_num(timing))[timed].abs(), t_spread[timed]
        loss = loss + error.mean() / TIMING_ERROR_MS
        loss = loss + LIKELIHOOD_WEIGHT * (error.detach() / t_spread + t_spread.log()).mean()
    return loss


def train(arrays: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int, epochs: int) -> DynamicsNetwork:
    """The trained network from features, velocities and timings of windows."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    features, velocity, timing = (torch.from_numpy(a) for a in arrays)
    network = DynamicsNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    batches = len(features) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, epochs * batches, pct_start=0.15)
    for epoch in range(epochs):
        order = torch.randperm(len(features))
        total = 0.0
        for i in range(batches):
            rows = order[i * BATCH : (i + 1) * BATCH]
            x = features[rows].clone()
            x[torch.rand(BATCH) < NO_BAR, :, BAR_COLUMN:] = 0
            x[torch.rand(BATCH) < NO_BEAT, :, BEAT_COLUMN:] = 0
            loss = loss_of(network, x, velocity[rows], timing[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / batches:.4f}", flush=True)
    return network.eval()


def network_predictor(network: DynamicsNetwork) -> Predictor:
    """Whole pieces over the windows that the stage uses."""

    def predict(piece: Performance) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            velocity, timing, _, _ = network(torch.from_numpy(split_windows(piece.features)))
        count = len(piece.velocity)
        return join_windows(velocity.numpy(), count), join_windows(timing.numpy(), count)

    return predict


def flat_predictor(pieces: list[Performance]) -> Predictor:
    """The median velocity of the training notes everywhere, nothing late or early."""
    level = float(np.median(np.concatenate([p.velocity for p in pieces])))
    return lambda piece: (np.full(len(piece.velocity), level), np.zeros(len(piece.velocity)))


def _neighbourhood(features: np.ndarray) -> np.ndarray:
    """Features of each note and of `RIDGE_REACH` notes to either side, and a one."""
    padded = np.pad(features, ((RIDGE_REACH, RIDGE_REACH), (0, 0)))
    count = len(features)
    columns = [padded[i : i + count] for i in range(2 * RIDGE_REACH + 1)]
    return np.hstack([*columns, np.ones((count, 1), np.float32)]).astype(np.float64)


def ridge_predictor(pieces: list[Performance]) -> Predictor:
    """Ridge regression from a note's features and its neighbours'."""
    size = FEATURES * (2 * RIDGE_REACH + 1) + 1
    gram, moment = np.zeros((2, size, size)), np.zeros((2, size))
    for piece in pieces:
        x = _neighbourhood(piece.features)
        gram[0] += x.T @ x
        moment[0] += x.T @ piece.velocity
        timed = np.isfinite(piece.timing)
        gram[1] += x[timed].T @ x[timed]
        moment[1] += x[timed].T @ piece.timing[timed]
    weights = [
        np.linalg.solve(g + RIDGE_PENALTY * np.eye(size), m) for g, m in zip(gram, moment, strict=True)
    ]

    def predict(piece: Performance) -> tuple[np.ndarray, np.ndarray]:
        x = _neighbourhood(piece.features)
        return np.clip(x @ weights[0], 0, 1), x @ weights[1]

    return predict


def score_all(pieces: list[Performance], predict: Predictor) -> dict[str, float]:
    """The piano row over pieces, the centred velocity MAE, and the timing figures where timing is known."""
    answers = [predict(p) for p in pieces]
    velocity = np.concatenate([a[0] for a in answers]) * 127
    true = np.concatenate([p.velocity for p in pieces]) * 127
    index = np.repeat(np.arange(len(pieces)), [len(p.velocity) for p in pieces])
    scores = velocity_scores(true, velocity)
    phrasing = np.abs(centred(true, index) - centred(velocity, index))
    scores["centred_velocity_mae"] = float(phrasing.mean())
    timing = np.concatenate([p.timing for p in pieces])
    if np.isfinite(timing).any():
        scores |= timing_scores(timing, np.concatenate([a[1] for a in answers]))
    return scores


def bootstrap(pieces: list[Performance], predict: Predictor, rounds: int = 2000) -> tuple[float, float]:
    """95 % interval of the velocity MAE, pieces drawn with replacement."""
    errors = [np.abs(p.velocity - predict(p)[0]) * 127 for p in pieces]
    total, count = np.array([e.sum() for e in errors]), np.array([len(e) for e in errors])
    drawn = np.random.default_rng(0).integers(0, len(pieces), (rounds, len(pieces)))
    low, high = np.percentile(total[drawn].sum(1) / count[drawn].sum(1), (2.5, 97.5))
    return float(low), float(high)


def main() -> None:
    """Train, print the tables, export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds pop909/ and giantmidi-52/"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()
    runs = Path("training/runs/dynamics")
    runs.mkdir(parents=True, exist_ok=True)
    begin = time.process_time()
    pop_train, pop_validation = load_pop909(args.data / "pop909")
    level = float(np.mean(np.concatenate([p.velocity for p in pop_train])))
    piano_train, piano_validation = load_giantmidi(args.data / "giantmidi-52", level)
    # GiantMIDI is a sixth of the notes; windows that overlap more make up for it.
    parts = windows(pop_train, WINDOW_NOTES), windows(piano_train, WINDOW_NOTES // 2)
    network = train(tuple(np.concatenate(pair) for pair in zip(*parts, strict=True)), args.seed, args.epochs)
    seconds = time.process_time() - begin
    torch.save(network.state_dict(), runs / f"seed{args.seed}.pt")
    predict = network_predictor(network)
    everything = pop_train + piano_train
    rows = {"flat": flat_predictor(everything), "ridge regression": ridge_predictor(everything)}
    rows["dynamics"] = predict
    sets = {"pop909": pop_validation, "giantmidi": piano_validation}
    tables = {s: {name: score_all(pieces, row) for name, row in rows.items()} for s, pieces in sets.items()}
    for name, table in tables.items():
        for row, scores in table.items():
            print(f"{name}, {row}: " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
    interval = bootstrap(pop_validation, predict)
    print(f"pop909 velocity MAE, 95 % interval over pieces: {interval[0]:.2f} to {interval[1]:.2f}")
    chosen = np.linspace(0, len(pop_validation) - 1, EXAMPLES * 3 // 4).astype(int)
    chosen_pieces = [pop_validation[i] for i in chosen] + piano_validation[: EXAMPLES // 4]
    features, velocity, _ = (
        np.stack(column) for column in zip(*(first_window(p) for p in chosen_pieces), strict=True)
    )
    card, prose = card_and_prose(tables, interval, args.seed, seconds, sets)
    export_model(
        network,
        "dynamics",
        {"features": (1, WINDOW_NOTES, FEATURES)},
        OUTPUTS,
        args.out,
        {"features": features[:, None]},
        velocity[:, None],
        {"kind": "absolute_error", "output": "velocity"},
        card,
        prose,
    )


def first_window(piece: Performance) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, velocities and timings of the first window of a piece."""
    return tuple(a[0] for a in windows([piece], len(piece.velocity)))


if __name__ == "__main__":
    main()
