"""Train, evaluate and export the groove network.

    PYTHONPATH=src:. python -m training.groove.train --data ../shared/data --out models/groove

Loss: absolute and squared error of the offsets, absolute error of the velocities, the divergence of the
groove table taken over the batch (it holds the spread of the answers near the drummers'), and, on the
detached errors, the Laplace likelihood that teaches the spreads. Weights are the exponential mean over the
training steps. The players of the network differ in their seed alone; each is trained in a process and on a
core of its own. Afterwards the spread of the answers is matched per step mod 4 (eight factors, validation
split): it buys a lower divergence for a little error, see the card.
"""

from __future__ import annotations

import argparse
import copy
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segue.humanize.encoding import CLASS_COUNT, FEATURES, SLOT_STEPS, WINDOW_STEPS, window_features
from segue.metrics.groove import groove_scores
from training.common.export import export_model
from training.groove.card import card_and_prose
from training.groove.data import Windows, load_windows
from training.groove.network import PLAYERS, GrooveNetwork, Player
from training.groove.ridge import ridge_floor

EPOCHS, BATCH, RATE, DECAY = 22, 256, 3e-3, 1e-3
#: Shares of the loss, and typical errors that bring its parts to one scale.
SPREAD_WEIGHT, LIKELIHOOD_WEIGHT = 0.15, 0.1
OFFSET_ERROR, OFFSET_SQUARE, VELOCITY_ERROR = 0.13, 0.034, 0.17
#: Probability that a class is missing from a window while training; a single hit is missing half as often.
DROP = 0.15
#: Share of windows that are trained with a pattern of no more than themselves; the others get a mixture of
#: the whole piece's and that of the bars around, so that the pattern does not name the take.
ALONE = 0.2
#: Least spread of the answers as a share of the true spread, of offsets and velocities in each group of
#: steps.
SPREAD_SHARE = (0.64, 0.78)
OUTPUTS = ["offset", "velocity", "offset_spread", "velocity_spread"]
EXAMPLES = 16


def tensors(windows: Windows, pattern: np.ndarray | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features, hits, offsets and velocities as float32; `pattern` is the whole piece's if not given."""
    features = window_features(windows.hits, windows.bpm, windows.pattern[0] if pattern is None else pattern)
    arrays = (features, windows.hits, windows.offset, windows.velocity)
    return tuple(torch.from_numpy(np.asarray(a, np.float32)) for a in arrays)


def batch_kl(true: Tensor, predicted: Tensor, hits: Tensor) -> Tensor:
    """KL(true || predicted) of Gaussians fitted per step mod 4 over a batch of windows (batch, 32, 9)."""
    total = torch.zeros(())
    for group in range(4):
        mask = hits[:, group::4] > 0
        t, p = true[:, group::4][mask], predicted[:, group::4][mask]
        true_spread, spread = t.std() + 1e-3, p.std() + 1e-3
        ratio = (true_spread**2 + (t.mean() - p.mean()) ** 2) / (2 * spread**2)
        total = total + torch.log(spread / true_spread) + ratio - 0.5
    return total / 4


def loss_of(network: Player, features: Tensor, hits: Tensor, offset: Tensor, velocity: Tensor) -> Tensor:
    """The training loss of a batch; see the module."""
    o, v, o_spread, v_spread = network(features)
    mask = hits > 0
    o_error, v_error = (o - offset)[mask], (v - velocity)[mask]
    o_spread, v_spread = o_spread[mask], v_spread[mask]
    # The length of a step is 1 at 100 quarters a minute: the absolute error is measured in milliseconds.
    length = (features[:, :, None, -1] + 1).expand_as(hits)[mask]
    error = (length * o_error.abs()).mean() / OFFSET_ERROR + (o_error**2).mean() / OFFSET_SQUARE
    error = error + v_error.abs().mean() / VELOCITY_ERROR
    spread = batch_kl(offset, o, hits) + batch_kl(velocity, v, hits)
    likelihood = (o_error.detach().abs() / o_spread + o_spread.log()).mean()
    likelihood = likelihood + (v_error.detach().abs() / v_spread + v_spread.log()).mean()
    return error + SPREAD_WEIGHT * spread + LIKELIHOOD_WEIGHT * likelihood


def own_pattern(hits: Tensor) -> Tensor:
    """`slot_pattern` of windows (batch, 32, 9) of their own, (batch, 16, 9)."""
    slots = hits.unflatten(1, (2, SLOT_STEPS))
    played = slots.flatten(2).amax(2).sum(1).clamp(min=1)
    return slots.sum(1) / played[:, None, None]


def practise(features: Tensor, pattern: Tensor) -> tuple[Tensor, Tensor]:
    """Features with classes and hits missing and one of the patterns, and which hits are left.

    `features` is (batch, 32, FEATURES), `pattern` (2, batch, 16, 9).
    """
    count = len(features)
    classes = torch.rand(count, 1, CLASS_COUNT) > DROP
    keep = classes & (torch.rand(count, WINDOW_STEPS, CLASS_COUNT) > DROP / 2)
    x = features.clone()
    x[:, :, :CLASS_COUNT] *= keep
    pattern = torch.lerp(*pattern, torch.rand(count, 1, 1)) * classes
    alone = torch.rand(count, 1, 1) < ALONE
    chosen = torch.where(alone, own_pattern(x[:, :, :CLASS_COUNT]), pattern)
    x[:, :, CLASS_COUNT : 2 * CLASS_COUNT] = chosen.repeat(1, 2, 1)
    return x, keep


def train_player(windows: Windows, validation: Windows, seed: int, epochs: int, log: Path) -> Player:
    """A trained player; the course of the validation figures goes to `log` and to the screen."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    features, hits, offset, velocity = tensors(windows)
    pattern = torch.from_numpy(windows.pattern)
    player = Player()
    mean = copy.deepcopy(player)
    optimizer = torch.optim.AdamW(player.parameters(), lr=RATE, weight_decay=DECAY)
    batches = len(features) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, epochs * batches, pct_start=0.15)
    done = 0
    for epoch in range(epochs):
        player.train()
        order = torch.randperm(len(features))
        for i in range(batches):
            rows = order[i * BATCH : (i + 1) * BATCH]
            x, keep = practise(features[rows], pattern[:, rows])
            loss = loss_of(player, x, hits[rows] * keep, offset[rows], velocity[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(player.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            with torch.no_grad():
                for kept, now in zip(mean.parameters(), player.parameters(), strict=True):
                    kept.lerp_(now, 1 - min(0.995, (1 + done) / (10 + done)))
        scores = score_all(validation, *predict(mean, validation))
        line = f"seed {seed}, epoch {epoch + 1}: " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items())
        print(line, flush=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    return mean.eval()


def train(windows: Windows, validation: Windows, seed: int, epochs: int, folder: Path) -> GrooveNetwork:
    """The trained network; each player writes its course to a log in `folder`."""
    network = GrooveNetwork()
    # Fresh processes: a fork would inherit PyTorch's threads.
    with ProcessPoolExecutor(PLAYERS, mp_context=get_context("spawn")) as pool:
        seeds = [PLAYERS * seed + i for i in range(PLAYERS)]
        logs = [folder / f"player{s}.log" for s in seeds]
        jobs = [
            pool.submit(train_player, windows, validation, s, epochs, log)
            for s, log in zip(seeds, logs, strict=True)
        ]
        for player, job in zip(network.players, jobs, strict=True):
            player.load_state_dict(job.result().state_dict())
    return network.eval()


def match_spread(network: GrooveNetwork, validation: Windows) -> None:
    """Bring the spread of the answers up to `SPREAD_SHARE` of the true one in each group of steps."""
    network.match_spread(torch.zeros(2, 4), torch.ones(2, 4))
    centre, factor = np.zeros((2, 4), np.float32), np.ones((2, 4), np.float32)
    truth = validation.offset, validation.velocity
    for i, (true, answer) in enumerate(zip(truth, predict(network, validation), strict=True)):
        for group in range(4):
            mask = validation.hits[:, group::4]
            t, p = true[:, group::4][mask], answer[:, group::4][mask]
            centre[i, group] = p.mean()
            factor[i, group] = max(SPREAD_SHARE[i] * t.std() / p.std(), 1)
    network.match_spread(torch.from_numpy(centre), torch.from_numpy(factor))


def predict(
    network: GrooveNetwork | Player, windows: Windows, pattern: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and velocities (windows, 32, 9); `pattern` is the whole piece's if not given."""
    network.eval()
    with torch.no_grad():
        offset, velocity, _, _ = network(tensors(windows, pattern)[0])
    return offset.numpy(), velocity.numpy()


def score_all(
    windows: Windows, offset: np.ndarray, velocity: np.ndarray, rows: np.ndarray | None = None
) -> dict[str, float]:
    """Every column of the groove table, over all windows or those of `rows`."""
    rows = np.arange(len(windows)) if rows is None else rows
    hits = windows.hits[rows]
    step = np.broadcast_to(np.arange(WINDOW_STEPS)[:, None], hits.shape)[hits]
    bpm = np.broadcast_to(windows.bpm[rows, None, None], hits.shape)[hits]
    return groove_scores(
        windows.offset[rows][hits],
        offset[rows][hits],
        windows.velocity[rows][hits],
        velocity[rows][hits],
        step,
        bpm,
    )


def bootstrap_mae(windows: Windows, offset: np.ndarray, rounds: int = 2000) -> tuple[float, float]:
    """95 % interval of the timing MAE in ms, pieces drawn with replacement."""
    error = np.abs(windows.offset - offset) * (15000 / windows.bpm)[:, None, None] * windows.hits
    pieces = len(windows.names)
    total = np.bincount(windows.piece, error.sum((1, 2)), pieces)
    count = np.bincount(windows.piece, windows.hits.sum((1, 2)), pieces)
    drawn = np.random.default_rng(0).integers(0, pieces, (rounds, pieces))
    low, high = np.percentile(total[drawn].sum(1) / count[drawn].sum(1), (2.5, 97.5))
    return float(low), float(high)


def evaluate(network: GrooveNetwork, train_set: Windows, validation: Windows) -> dict[str, dict[str, float]]:
    """The groove table on the validation split: what is written, ridge regression, this network."""
    flat = np.full(validation.velocity.shape, np.median(train_set.velocity[train_set.hits]), np.float32)
    own = own_pattern(torch.from_numpy(validation.hits).float()).numpy()
    rows = {
        "quantised": (np.zeros_like(validation.offset), flat),
        "ridge regression": ridge_floor(train_set, validation),
        "groove": predict(network, validation),
        "groove, two bars alone": predict(network, validation, own),
    }
    return {name: score_all(validation, *answer) for name, answer in rows.items()}


def reference_windows(validation: Windows) -> np.ndarray:
    """Windows for the reference: evenly over the validation split, each from another piece."""
    pieces = np.unique(validation.piece)
    chosen = pieces[np.linspace(0, len(pieces) - 1, EXAMPLES).astype(int)]
    return np.array([np.flatnonzero(validation.piece == p)[0] for p in chosen])


def main() -> None:
    """Train, print the table, export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds groove/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--weights", type=Path, help="skip training and export these weights")
    args = parser.parse_args()
    runs = Path("training/runs/groove")
    runs.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    # Fills are extra practice; they are not part of the measured split.
    train_set = load_windows(args.data / "groove", "train", ("beat", "fill"))
    validation = load_windows(args.data / "groove", "validation")
    if args.weights:
        network = GrooveNetwork()
        stored = torch.load(args.weights, weights_only=True)
        network.load_state_dict(stored["weights"])
        seconds = stored["seconds"]
    else:
        network = train(train_set, validation, args.seed, args.epochs, runs)
        seconds = time.perf_counter() - begin
        weights = {"weights": network.state_dict(), "seconds": seconds}
        torch.save(weights, runs / f"seed{args.seed}.pt")
    free = score_all(validation, *predict(network, validation))
    match_spread(network, validation)
    table = evaluate(network, load_windows(args.data / "groove", "train"), validation)
    table["groove, spread not matched"] = free
    interval = bootstrap_mae(validation, predict(network, validation)[0])
    for name, row in table.items():
        print(f"{name}: " + ", ".join(f"{k} {v:.4f}" for k, v in row.items()))
    print(f"groove timing MAE, 95 % interval over pieces: {interval[0]:.2f} to {interval[1]:.2f} ms")
    rows = reference_windows(validation)
    target = np.where(validation.hits[rows], validation.velocity[rows], np.nan)
    features = window_features(validation.hits[rows], validation.bpm[rows], validation.pattern[0, rows])
    card, prose = card_and_prose(table, interval, args.seed, seconds, validation, SPREAD_SHARE)
    export_model(
        network,
        "groove",
        {"features": (1, WINDOW_STEPS, FEATURES)},
        OUTPUTS,
        args.out,
        {"features": features[:, None]},
        target[:, None],
        {"kind": "absolute_error", "output": "velocity"},
        card,
        prose,
    )


if __name__ == "__main__":
    main()
