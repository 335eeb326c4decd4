"""How a player and the guess of style are trained.

Loss: absolute and squared error of the offsets, absolute error of the velocities, the divergence of the
groove table taken over the batch (it holds the spread of the answers near the drummers'), and, on the
detached errors, the Laplace likelihood that teaches the spreads. Weights are the exponential mean over the
training steps.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from segue.humanize.encoding import (
    CLASS_COUNT,
    PATTERN,
    SLOT_STEPS,
    STYLE,
    TEMPO,
    WINDOW_STEPS,
    window_features,
)
from segue.metrics.groove import groove_scores
from training.groove.data import Windows
from training.groove.network import GrooveNetwork, Player, StyleGuess

#: Epochs and highest rate of each cycle; the rate rises and falls within a cycle.
CYCLES = ((24, 4e-3), (8, 2e-3))
BATCH, DECAY = 512, 1e-3
#: Shares of the loss, and typical errors that bring its parts to one scale.
SPREAD_WEIGHT, LIKELIHOOD_WEIGHT = 0.15, 0.1
OFFSET_ERROR, OFFSET_SQUARE, VELOCITY_ERROR = 0.13, 0.034, 0.14
#: Probability that a class is missing from a window while training; a single hit is missing half as often.
DROP = 0.15
#: Share of windows that are trained with a pattern of no more than themselves; the others get a mixture of
#: the whole piece's and that of the bars around, so that the pattern does not name the take.
ALONE = 0.2
#: Share of windows that are trained without a style.
STYLE_UNKNOWN = 0.75
#: Weight of the squared weights against the summed cross entropy of the takes, in the guess of style.
GUESS_PENALTY = 0.5


def tensors(
    windows: Windows, pattern: np.ndarray | None = None, style: np.ndarray | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features, hits, offsets and velocities as float32.

    `pattern` is the whole piece's if not given; without `style` none is told.
    """
    pattern = windows.pattern[0] if pattern is None else pattern
    features = window_features(windows.hits, windows.bpm, pattern, style)
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
    length = (features[:, :, None, TEMPO.stop - 1] + 1).expand_as(hits)[mask]
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
    """Features with classes, hits and styles missing and one of the patterns, and which hits are left.

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
    x[:, :, PATTERN] = chosen.repeat(1, 2, 1)
    x[:, :, STYLE] *= torch.rand(count, 1, 1) > STYLE_UNKNOWN
    return x, keep


def train_player(windows: Windows, validation: Windows, seed: int, log: Path) -> Player:
    """A trained player; the course of the validation figures goes to `log` and to the screen."""
    torch.manual_seed(seed)
    log.unlink(missing_ok=True)
    player = Player()
    for cycle in range(len(CYCLES)):
        player = train_cycle(player, windows, validation, seed, cycle, log)
    return player


def train_cycle(
    player: Player, windows: Windows, validation: Windows, seed: int, cycle: int, log: Path
) -> Player:
    """The player after one of `CYCLES`; it begins with a fresh optimizer and the weights that are given."""
    torch.set_num_threads(1)
    if cycle:
        torch.manual_seed(seed + 100_000 * cycle)
    epochs, rate = CYCLES[cycle]
    features, hits, offset, velocity = tensors(windows, style=windows.style)
    pattern = torch.from_numpy(windows.pattern)
    mean = copy.deepcopy(player)
    # Products of matrices in bfloat16 take two thirds of the time where the processor has them.
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    optimizer = torch.optim.AdamW(player.parameters(), lr=rate, weight_decay=DECAY)
    batches = len(features) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs * batches, pct_start=0.15)
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
            nn.utils.clip_grad_norm_(player.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            with torch.no_grad():
                share = 1 - min(0.995, (1 + done) / (10 + done))
                torch._foreach_lerp_(list(mean.parameters()), list(player.parameters()), share)
        scores = score_all(validation, *predict(mean, validation))
        figures = ", ".join(f"{k} {v:.4f}" for k, v in scores.items())
        line = f"seed {seed}, cycle {cycle + 1}, epoch {epoch + 1}: {figures}"
        print(line, flush=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    torch.backends.mkldnn.matmul.fp32_precision = "none"
    return mean.eval()


def train_style(windows: Windows) -> StyleGuess:
    """Multinomial logistic regression from a take's pattern and tempo to its style; takes count alike."""
    _, first = np.unique(windows.piece, return_index=True)
    first = first[windows.style[first].any(1)]
    features = torch.from_numpy(
        window_features(windows.hits[first], windows.bpm[first], windows.pattern[0, first])
    )
    truth = torch.from_numpy(windows.style[first].argmax(1))
    torch.manual_seed(0)
    guess = StyleGuess()
    optimizer = torch.optim.LBFGS(guess.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = nn.functional.cross_entropy(guess.logits(features), truth, reduction="sum")
        value = value + GUESS_PENALTY * guess.score.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return guess.eval()


def predict(
    network: GrooveNetwork | Player,
    windows: Windows,
    pattern: np.ndarray | None = None,
    style: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and velocities (windows, 32, 9); `pattern` and `style` as in `tensors`."""
    network.eval()
    with torch.no_grad():
        offset, velocity, *_ = network(tensors(windows, pattern, style)[0])
    return offset.numpy(), velocity.numpy()


def guess_style(network: GrooveNetwork, windows: Windows, pattern: np.ndarray | None = None) -> np.ndarray:
    """The probability of each style, (windows, 10), as `style: auto` has it."""
    with torch.no_grad():
        return network.style(tensors(windows, pattern)[0]).numpy()


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
