"""The network of both transfer models, and its training: a GRU that walks over the units of a piece."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn


class UnitNetwork(nn.Module):
    """One step of a GRU: onsets of the unit before and features in, pattern logits and performance out.

    `previous` (1, bits), `features` (1, features), `state` (1, hidden). Returns the logits of one or more
    codebooks, each (1, size); the performance of the unit before (1, performance); where `classes` is not 0,
    logits over how each cell of the unit before is played (1, classes); and the new state.
    """

    def __init__(
        self,
        bits: int,
        features: int,
        sizes: list[int],
        performance: int,
        hidden: int,
        classes: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(bits, 40)
        self.cell = nn.GRUCell(40 + features, hidden)
        self.heads = nn.ModuleList([nn.Linear(hidden, size) for size in sizes])
        self.play = nn.Linear(hidden, performance)
        self.classes = nn.Linear(hidden, classes) if classes else None
        self.hidden = hidden
        #: Only for training; `forward` knows nothing of it.
        self.dropout = nn.Dropout(dropout)

    def outputs(self, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Everything but the state, from hidden states (..., hidden)."""
        named = *(head(state) for head in self.heads), self.play(state)
        return named if self.classes is None else (*named, self.classes(state))

    def forward(
        self, previous: torch.Tensor, features: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """One step."""
        state = self.cell(torch.cat([torch.tanh(self.embed(previous)), features], dim=-1), state)
        return *self.outputs(state), state


@dataclass
class Sequences:
    """Pieces one after the other, one row a unit.

    `onsets` (n, bits) bool as coded; `features` (n, F); `codes` (n, codebooks), -1 where nothing is asked;
    `performance` (n, P), NaN where nothing sounds; `classes` (n, L) how each cell is played (a note length, a
    loudness), -1 where there is no note, L may be 0; `style` (n,); `start` (pieces + 1,) row of each piece.
    """

    onsets: np.ndarray
    features: np.ndarray
    codes: np.ndarray
    performance: np.ndarray
    classes: np.ndarray
    style: np.ndarray
    start: np.ndarray

    def windows(self, length: int) -> np.ndarray:
        """First rows of windows of `length` units that hop by half of it and stay within a piece; a short
        piece gives one window that begins where it begins.
        """
        rows = [
            np.arange(a, max(b - length, a) + 1, length // 2)
            for a, b in zip(self.start[:-1], self.start[1:], strict=True)
        ]
        return np.concatenate(rows)


Augment = Callable[[np.ndarray, np.random.Generator], None]


def _batch(
    data: Sequences, first: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Windows, arrays (batch, length, ...): previous onsets, features, codes; performance and classes of
    playing *a unit late*.
    """
    rows = first[:, None] + np.arange(length)
    piece = np.searchsorted(data.start, first, "right")
    end = data.start[piece][:, None]
    begin = data.start[piece - 1][:, None]
    inside = rows < end
    safe = np.minimum(rows, end - 1)
    before = np.maximum(safe - 1, begin)
    has_before = (rows > begin) & inside
    previous = data.onsets[before].astype(np.float32) * has_before[..., None]
    codes = np.where(inside[..., None], data.codes[safe], -1)
    performance = np.where(has_before[..., None], data.performance[before], np.nan)
    classes = np.where(has_before[..., None], data.classes[before], -1)
    return previous, data.features[safe].astype(np.float32), codes, performance, classes


def _losses(
    network: UnitNetwork,
    previous: torch.Tensor,
    features: torch.Tensor,
    codes: torch.Tensor,
    performance: torch.Tensor,
    classes: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Nats a pattern, mean squared error of the performance, and nats a class of playing (0 without)."""
    x = torch.cat([network.dropout(torch.tanh(network.embed(previous))), features], dim=-1)
    state = torch.zeros(1, len(x), network.hidden)
    cell = network.cell
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    hidden, _ = torch.gru(x, state, weights, True, 1, 0.0, False, False, True)
    out = network.outputs(network.dropout(hidden))
    books = len(network.heads)
    entropy = nn.functional.cross_entropy
    cross = torch.stack(
        [
            entropy(part.flatten(0, 1), codes[..., i].flatten(), ignore_index=-1)
            for i, part in enumerate(out[:books])
        ]
    ).mean()
    known = ~torch.isnan(performance)
    # A batch of printed scores knows no velocity at all.
    square = ((out[books] - torch.nan_to_num(performance)).square() * known).sum() / known.sum().clamp(min=1)
    if network.classes is None:
        return cross, square, torch.zeros(())
    logits = out[books + 1].unflatten(-1, (classes.shape[-1], -1))
    return cross, square, entropy(logits.flatten(0, 2), classes.flatten(), ignore_index=-1)


def train_network(
    network: UnitNetwork,
    train: Sequences,
    validation: Sequences,
    minutes: float,
    epochs_of_schedule: int,
    seed: int,
    augment: Augment,
    learning_rate: float,
    length: int = 64,
    batch: int = 64,
) -> list[dict[str, float]]:
    """Train in place for `epochs_of_schedule` passes of equal size (stopped by `minutes`); keeps the weights
    of the best validation loss. Styles are drawn in proportion to the square root of their size. Returns the
    history, one row an epoch. `learning_rate` is the highest of a one-cycle schedule.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    windows = train.windows(length)
    style = train.style[windows]
    # Between natural and equal shares: the square root of a style's size.
    counts = np.bincount(style)
    styles = len(counts)
    probability = 1 / np.sqrt(counts[style])
    probability /= probability.sum()
    steps = 240
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=learning_rate, total_steps=steps * epochs_of_schedule, pct_start=0.1
    )
    best, best_state, history = np.inf, None, []
    begin = time.process_time()
    for epoch in range(epochs_of_schedule):
        network.train()
        total = 0.0
        for _ in range(steps):
            first = rng.choice(windows, batch, p=probability)
            first = np.maximum(
                first - rng.integers(0, length // 2, batch),
                train.start[np.searchsorted(train.start, first, "right") - 1],
            )
            previous, features, codes, *played = _batch(train, first, length)
            # Half of the windows forget some of what was played, so that a wrong choice does no lasting
            # harm.
            forget = (rng.random((batch, length, 1)) < 0.15) & (rng.random((batch, 1, 1)) < 0.5)
            previous = np.where(forget, 0, previous).astype(np.float32)
            # Some windows are not told the style: the stage needs to know what is common to all styles.
            features[rng.random(batch) < 0.15, :, :styles] = 0
            augment(features, rng)
            rows = map(torch.as_tensor, (previous, features, codes, *played))
            cross, square, held = _losses(network, *rows)
            loss = cross + 2 * square + 0.3 * held
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        row = {"epoch": epoch, "train": total / steps, **evaluate_network(network, validation, length)}
        row["seconds"] = time.process_time() - begin
        history.append(row)
        print(" ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
        if row["loss"] < best:
            best = row["loss"]
            best_state = {k: v.clone() for k, v in network.state_dict().items()}
        if time.process_time() - begin > minutes * 60:
            break
    network.load_state_dict(best_state)
    return history


@dataclass(frozen=True)
class Fitted:
    """A trained network with its codebooks, bool (size, bits) by output, and the rows of both parts."""

    network: UnitNetwork
    codebooks: dict[str, np.ndarray]
    train: Sequences
    validation: Sequences


def fit_network(
    build: Callable[[], UnitNetwork],
    weights: Path,
    train: Sequences,
    validation: Sequences,
    minutes: float,
    epochs: int,
    seed: int,
    augment: Augment,
    learning_rate: float,
) -> UnitNetwork:
    """The network of an earlier run where the file `weights` is there; else trained, and stored there."""
    torch.manual_seed(seed)
    network = build()
    if weights.is_file():
        network.load_state_dict(torch.load(weights))
        return network
    print("parameters", sum(p.numel() for p in network.parameters()), flush=True)
    train_network(network, train, validation, minutes, epochs, seed, augment, learning_rate)
    torch.save(network.state_dict(), weights)
    return network


def evaluate_network(network: UnitNetwork, data: Sequences, length: int = 64) -> dict[str, float]:
    """Validation losses over windows that do not overlap."""
    network.eval()
    first = np.concatenate(
        [np.arange(a, b, length) for a, b in zip(data.start[:-1], data.start[1:], strict=True)]
    )
    total, count = np.zeros(3), 0
    with torch.no_grad():
        for at in range(0, len(first), 128):
            part = first[at : at + 128]
            total += len(part) * np.array(_losses(network, *map(torch.as_tensor, _batch(data, part, length))))
            count += len(part)
    cross, square, held = (total / count).tolist()
    loss = cross + 2 * square + 0.3 * held
    return {"loss": loss, "nats": cross, "performance": square, "playing_nats": held}
