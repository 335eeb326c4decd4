"""The drum network and its training: a GRU that walks over the beats of a piece in a style."""

from __future__ import annotations

import copy
import time

import numpy as np
import torch
from torch import nn

from segue.transfer.kit import (
    FEATURES,
    GRID_BITS,
    LOUDNESS,
    LOUDNESS_CLASSES,
    PERFORMANCE,
    PROFILE,
    SKELETON_COLUMNS,
)
from training.transfer.drums.data import Rows

_EMBED, _STYLE = 48, 24
_LENGTH, _BATCH = 64, 64
#: Weights of the losses beside that of the patterns.
_PERFORMANCE, _LOUDNESS = 2.0, 0.3


class DrumNetwork(nn.Module):
    """One step: the hits of the beat before, the style's profile and features in; out come the logits of the
    patterns, the performance and the loudness logits of the beat before, and the new state.
    """

    def __init__(self, patterns: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Linear(GRID_BITS, _EMBED)
        self.encode = nn.Linear(PROFILE, _STYLE)
        # A GRU, its reset, update and new gate apart: a network whose batch is free must not slice.
        self.heard = nn.ModuleList(nn.Linear(_EMBED + _STYLE + FEATURES, hidden) for _ in range(3))
        self.kept = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(3))
        self.pattern = nn.Linear(hidden, patterns)
        self.play = nn.Linear(hidden, PERFORMANCE)
        self.loudness = nn.Linear(hidden, LOUDNESS)
        self.hidden = hidden
        #: Only for training; `forward` knows nothing of it.
        self.dropout = nn.Dropout(dropout)

    def outputs(self, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Everything but the state, from hidden states (..., hidden)."""
        return self.pattern(state), self.play(state), self.loudness(state)

    def forward(
        self, previous: torch.Tensor, style: torch.Tensor, features: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """One step: (rows, GRID_BITS), (rows, PROFILE), (rows, FEATURES), (rows, hidden)."""
        heard = [torch.tanh(self.embed(previous)), torch.tanh(self.encode(style)), features]
        x = torch.cat(heard, dim=-1)
        reset, update = (torch.sigmoid(self.heard[i](x) + self.kept[i](state)) for i in range(2))
        new = torch.tanh(self.heard[2](x) + reset * self.kept[2](state))
        state = new + update * (state - new)
        return *self.outputs(state), state

    def losses(
        self,
        previous: torch.Tensor,
        style: torch.Tensor,
        features: torch.Tensor,
        codes: torch.Tensor,
        performance: torch.Tensor,
        loudness: torch.Tensor,
    ) -> torch.Tensor:
        """Nats a pattern, mean squared error of the performance, nats a loudness, (3,); all inputs (windows,
        beats, ...) but the style (windows, PROFILE).
        """
        encoded = torch.tanh(self.encode(style))[:, None].expand(-1, previous.shape[1], -1)
        embedded = self.dropout(torch.tanh(self.embed(previous)))
        x = torch.cat([embedded, encoded, features], dim=-1)
        state = torch.zeros(1, len(x), self.hidden)
        gates = (self.heard, self.kept)
        weights = [torch.cat([g.weight for g in part]) for part in gates]
        weights += [torch.cat([g.bias for g in part]) for part in gates]
        hidden, _ = torch.gru(x, state, weights, True, 1, 0.0, False, False, True)
        pattern, play, loud = self.outputs(self.dropout(hidden))
        entropy = nn.functional.cross_entropy
        known = ~torch.isnan(performance)
        square = ((play - torch.nan_to_num(performance)).square() * known).sum() / known.sum().clamp(min=1)
        return torch.stack(
            [
                entropy(pattern.flatten(0, 1), codes.flatten(), ignore_index=-1),
                square,
                entropy(
                    loud.unflatten(-1, (-1, LOUDNESS_CLASSES)).flatten(0, 2),
                    loudness.flatten(),
                    ignore_index=-1,
                ),
            ]
        )


def total_loss(losses: torch.Tensor | np.ndarray) -> torch.Tensor | float:
    """What is minimised, of `DrumNetwork.losses`."""
    return losses[0] + _PERFORMANCE * losses[1] + _LOUDNESS * losses[2]


def _batch(data: Rows, first: np.ndarray) -> tuple[np.ndarray, ...]:
    """Windows, arrays (windows, beats, ...): previous, features, codes, and playing *a beat late*."""
    rows = first[:, None] + np.arange(_LENGTH)
    piece = np.searchsorted(data.start, first, "right")
    end, begin = data.start[piece][:, None], data.start[piece - 1][:, None]
    inside = rows < end
    safe = np.minimum(rows, end - 1)
    before = np.maximum(safe - 1, begin)
    has_before = (rows > begin) & inside
    return (
        data.onsets[before].astype(np.float32) * has_before[..., None],
        data.features[safe],
        np.where(inside, data.codes[safe], -1),
        np.where(has_before[..., None], data.performance[before], np.nan),
        np.where(has_before[..., None], data.loudness[before], -1),
    )


def _tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.as_tensor(x) for x in arrays]


def evaluate_network(network: DrumNetwork, data: Rows, named: np.ndarray | None) -> np.ndarray:
    """The three losses over windows that do not overlap, with the style given as the profile `named` (styles,
    PROFILE) of its name, or (None) as that of the rest of the recording.
    """
    network.eval()
    first = np.concatenate(
        [np.arange(a, b, _LENGTH) for a, b in zip(data.start[:-1], data.start[1:], strict=True)]
    )
    total = np.zeros(3)
    with torch.no_grad():
        for at in range(0, len(first), 128):
            part = first[at : at + 128]
            style = data.rest(part, _LENGTH) if named is None else named[data.style_of(part)]
            previous, *others = _batch(data, part)
            total += len(part) * network.losses(*_tensors(previous, style, *others)).numpy()
    return total / len(first)


def train_network(
    network: DrumNetwork,
    train: Rows,
    validation: Rows,
    named: np.ndarray,
    epochs: int,
    seed: int,
    rate: float,
) -> None:
    """Train in place for `epochs` passes of equal size; keeps the weights of the least validation loss.

    Styles are drawn in proportion to the square root of their size. A window's style is the profile of the
    rest of its recording, in two fifths of them that of its style's name, and in 15 % of them none at all:
    the stage
    needs to know what is common to all styles.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    windows = train.windows(_LENGTH)
    style = train.style_of(windows)
    chance = 1 / np.sqrt(np.bincount(style)[style])
    chance /= chance.sum()
    steps = 200
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps * epochs, pct_start=0.1)
    average = copy.deepcopy(network)
    best, best_state = np.inf, None
    begin = time.process_time()
    for epoch in range(epochs):
        network.train()
        for step in range(steps):
            first = rng.choice(windows, _BATCH, p=chance)
            earliest = train.start[np.searchsorted(train.start, first, "right") - 1]
            first = np.maximum(first - rng.integers(0, _LENGTH // 2, _BATCH), earliest)
            previous, features, codes, performance, loudness = _batch(train, first)
            # Half of the windows forget some of what was played, so that a wrong choice does no lasting harm.
            forget = (rng.random((_BATCH, _LENGTH, 1)) < 0.15) & (rng.random((_BATCH, 1, 1)) < 0.5)
            previous = np.where(forget, 0, previous).astype(np.float32)
            profile = train.rest(first, _LENGTH)
            by_name = rng.random(_BATCH) < 0.4
            profile[by_name] = named[train.style_of(first[by_name])]
            profile[rng.random(_BATCH) < 0.15] = 0
            # Half of the windows are not told the skeleton, so that the stage can say how closely it is
            # followed.
            features[rng.random(_BATCH) < 0.5, :, SKELETON_COLUMNS] = 0
            loss = total_loss(
                network.losses(*_tensors(previous, profile, features, codes, performance, loudness))
            )
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            keep = min(0.995, (1 + epoch * steps + step) / (10 + epoch * steps + step))
            with torch.no_grad():
                for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
                    slow.lerp_(fast, 1 - keep)
        by_name, by_rest = (evaluate_network(average, validation, n) for n in (named, None))
        value = float(total_loss(by_name))
        print(
            epoch,
            f"{float(loss.detach()):.3f}",
            by_name.round(4),
            by_rest.round(4),
            f"{time.process_time() - begin:.0f} s",
            flush=True,
        )
        if value < best:
            best, best_state = value, copy.deepcopy(average.state_dict())
    network.load_state_dict(best_state)
    network.eval()
