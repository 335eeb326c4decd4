"""The network that plays an accompaniment, the encoder that hears a style, and their training together.

The style of a window comes from another part of the same piece, so that nothing but the manner of playing can
help; where a piece is too short for that it comes from half of the piece, or another piece of its corpus.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segue.transfer.encoding import CELLS, FEATURES, GRID_BITS, LENGTHS, SOURCE, SOURCE_AT, STYLE_SIZE
from segue.transfer.style import ROWS
from training.transfer.accompaniment.data import STYLES, Rows

WINDOW, SEGMENT, BATCH = 64, 48, 64
STEPS_AN_EPOCH = 200
PAIRS = 32
_LEAST_SEGMENT = 16


class StyleEncoder(nn.Module):
    """Units of a part (n, ROWS) to vectors (n, STYLE_SIZE), whose mean, scaled, is the style."""

    def __init__(self, hidden: int = 128) -> None:
        super().__init__()
        self.unit = nn.Sequential(nn.Linear(ROWS, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.out = nn.Linear(hidden, STYLE_SIZE)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """One vector a unit."""
        return self.out(self.unit(rows))


class Walker(nn.Module):
    """One step of a GRU: onsets of the unit before and features in; out come logits of the low hand's
    patterns and of the high hand's, what the high hand makes of the low one's choice (`pair`), velocity and
    length by cell of the unit before, and the new state.

    The logits of the high hand after the low hand's choice c are `high + (pair * low_side[c]) @ high_side`.
    """

    def __init__(self, sizes: tuple[int, int], hidden: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Linear(GRID_BITS, 64)
        self.cell = nn.GRUCell(64 + FEATURES, hidden)
        self.low = nn.Linear(hidden, sizes[0])
        self.high = nn.Linear(hidden, sizes[1])
        self.pair = nn.Linear(hidden, PAIRS)
        self.velocity = nn.Linear(hidden, CELLS)
        self.lengths = nn.Linear(hidden, CELLS * len(LENGTHS))
        self.low_side = nn.Parameter(torch.randn(sizes[0], PAIRS) * 0.3)
        self.high_side = nn.Parameter(torch.randn(PAIRS, sizes[1]) * 0.1)
        self.hidden = hidden
        self.dropout = nn.Dropout(dropout)

    def outputs(self, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Everything but the state, from hidden states (..., hidden)."""
        return (
            self.low(state),
            self.high(state),
            torch.tanh(self.pair(state)),
            self.velocity(state),
            self.lengths(state),
        )

    def forward(
        self, previous: torch.Tensor, features: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """One step."""
        state = self.cell(torch.cat([torch.tanh(self.embed(previous)), features], dim=-1), state)
        return *self.outputs(state), state


class Both(nn.Module):
    """Encoder and walker, and a reader that tells the corpus from a style vector (for training alone)."""

    def __init__(self, sizes: tuple[int, int], hidden: int, dropout: float) -> None:
        super().__init__()
        self.encoder = StyleEncoder()
        self.walker = Walker(sizes, hidden, dropout)
        self.corpus = nn.Linear(STYLE_SIZE, len(STYLES))

    def style(self, rows: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Vectors (batch, STYLE_SIZE) of segments (batch, units, ROWS); rows count where `counts` is 1."""
        each = self.encoder(rows) * counts[..., None]
        mean = each.sum(dim=1) / counts.sum(dim=1, keepdim=True).clamp(min=1)
        return nn.functional.normalize(mean, dim=-1) * STYLE_SIZE**0.5


def _segments(
    data: Rows, first: np.ndarray, rng: np.random.Generator, other: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each window's style is heard: first row and length, (batch,), and for each window which of its
    rows are asked (batch, WINDOW) bool: not those that the style was heard in.
    """
    begin = np.zeros(len(first), np.int64)
    length = np.zeros(len(first), np.int64)
    asked = np.ones((len(first), WINDOW), bool)
    piece = np.searchsorted(data.start, first, "right") - 1
    for i, (p, f) in enumerate(zip(piece.tolist(), first.tolist(), strict=True)):
        a, b = int(data.start[p]), int(data.start[p + 1])
        left, right = f - a, b - (f + WINDOW)
        if rng.random() >= other:
            if max(left, right) >= _LEAST_SEGMENT:
                use_left = rng.random() * (max(left, 0) + max(right, 0)) < left
                if (left if use_left else right) < _LEAST_SEGMENT:
                    use_left = not use_left
                low, high = (a, f) if use_left else (f + WINDOW, b)
                length[i] = min(SEGMENT, high - low)
                begin[i] = rng.integers(low, high - length[i] + 1)
                continue
            half = (b - a) // 2
            if half >= _LEAST_SEGMENT and f == a:
                late = rng.random() < 0.5
                begin[i], length[i] = (a + half, half) if late else (a, half)
                length[i] = min(length[i], SEGMENT)
                asked[i, half:] = not late
                asked[i, :half] = late
                continue
        same = np.flatnonzero(data.style[data.start[:-1]] == data.style[f])
        q = int(same[rng.integers(len(same))])
        a, b = int(data.start[q]), int(data.start[q + 1])
        length[i] = min(SEGMENT, b - a)
        begin[i] = rng.integers(a, b - length[i] + 1)
    return begin, length, asked


def _batch(data: Rows, first: np.ndarray, rng: np.random.Generator, other: float) -> tuple:
    """Windows and segments as arrays, playing *a unit late*."""
    rows = first[:, None] + np.arange(WINDOW)
    piece = np.searchsorted(data.start, first, "right")
    end, begin = data.start[piece][:, None], data.start[piece - 1][:, None]
    inside = rows < end
    safe = np.minimum(rows, end - 1)
    before = np.maximum(safe - 1, begin)
    has_before = (rows > begin) & inside
    start, length, asked = _segments(data, first, rng, other)
    segment = start[:, None] + np.arange(SEGMENT)
    counts = np.arange(SEGMENT) < length[:, None]
    heard = data.heard[np.where(counts, segment, 0)].astype(np.float32)
    counts &= heard[:, :, :GRID_BITS].any(axis=2)
    return (
        data.onsets[before].astype(np.float32) * has_before[..., None],
        data.features[safe].astype(np.float32),
        np.where((inside & asked)[..., None], data.codes[safe], -1),
        np.where(has_before[..., None], data.velocity[before], np.nan),
        np.where(has_before[..., None], data.lengths[before], -1),
        heard,
        counts.astype(np.float32),
        data.style[first],
    )


def _losses(
    both: Both, hidden_style: np.ndarray, previous: torch.Tensor, features: torch.Tensor, *rest: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Nats a pattern of each hand, squared error of velocities, nats a length, nats a corpus."""
    codes, velocity, lengths, heard, counts, corpus = rest
    walker, entropy = both.walker, nn.functional.cross_entropy
    style = both.style(heard, counts)
    told = style * torch.as_tensor(~hidden_style, dtype=style.dtype)[:, None]
    features = torch.cat([told[:, None].expand(-1, WINDOW, -1), features[..., STYLE_SIZE:]], dim=-1)
    x = torch.cat([walker.dropout(torch.tanh(walker.embed(previous))), features], dim=-1)
    cell = walker.cell
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    hidden, _ = torch.gru(x, torch.zeros(1, len(x), walker.hidden), weights, True, 1, 0.0, False, False, True)
    low, high, pair, played, long = walker.outputs(walker.dropout(hidden))
    high = high + (pair * walker.low_side[codes[..., 0].clamp(min=0)]) @ walker.high_side
    known = ~torch.isnan(velocity)
    square = (played - torch.nan_to_num(velocity)).square() * known
    return {
        "low": entropy(low.flatten(0, 1), codes[..., 0].flatten(), ignore_index=-1),
        "high": entropy(high.flatten(0, 1), codes[..., 1].flatten(), ignore_index=-1),
        # A batch of printed scores knows no velocity at all.
        "velocity": square.sum() / known.sum().clamp(min=1),
        "lengths": entropy(long.unflatten(-1, (CELLS, -1)).flatten(0, 2), lengths.flatten(), ignore_index=-1),
        "corpus": entropy(both.corpus(style), corpus),
    }


_WEIGHTS = {"low": 0.5, "high": 0.5, "velocity": 2.0, "lengths": 0.3, "corpus": 0.05}


def _augment(features: np.ndarray, rng: np.random.Generator) -> None:
    """One window in six knows nothing of a source; others lose some comparisons, and all are a little noisy,
    so that the network takes each for itself.
    """
    batch = len(features)
    comparisons = features[:, :, SOURCE_AT : SOURCE_AT + len(SOURCE)]
    comparisons += rng.normal(0, 0.15, comparisons.shape).astype(np.float32)
    comparisons *= rng.random((batch, 1, len(SOURCE))) >= 0.15
    features[rng.random(batch) < 1 / 6, :, SOURCE_AT:] = 0


def train(
    both: Both, data: Rows, held: Rows, run: Path, epochs: int, seed: int, learning_rate: float
) -> None:
    """Train in place for `epochs` passes of equal size; a cut run goes on from its last whole pass."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    windows = np.concatenate(
        [
            np.arange(a, max(b - WINDOW, a) + 1, WINDOW // 2)
            for a, b in zip(data.start[:-1], data.start[1:], strict=True)
        ]
    )
    style = data.style[windows]
    # Between natural and equal shares: the square root of a style's size.
    probability = 1 / np.sqrt(np.bincount(style)[style])
    probability /= probability.sum()
    optimiser = torch.optim.AdamW(both.parameters(), lr=1e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=learning_rate, total_steps=STEPS_AN_EPOCH * epochs, pct_start=0.1
    )
    path, done = run / "checkpoint.pt", 0
    if path.is_file():
        stored = torch.load(path, weights_only=False)
        both.load_state_dict(stored["network"])
        optimiser.load_state_dict(stored["optimiser"])
        schedule.load_state_dict(stored["schedule"])
        torch.set_rng_state(stored["torch"])
        rng.bit_generator.state, done = stored["numpy"], stored["epochs"]
    begin = time.process_time()
    for epoch in range(done, epochs):
        both.train()
        total = 0.0
        for _ in range(STEPS_AN_EPOCH):
            first = rng.choice(windows, BATCH, p=probability)
            lowest = data.start[np.searchsorted(data.start, first, "right") - 1]
            first = np.maximum(first - rng.integers(0, WINDOW // 2, BATCH), lowest)
            previous, features, *rest = _batch(data, first, rng, 0.2)
            # Half of the windows forget some of what was played, so that a wrong choice does no lasting harm.
            forget = (rng.random((BATCH, WINDOW, 1)) < 0.15) & (rng.random((BATCH, 1, 1)) < 0.5)
            previous = np.where(forget, 0, previous).astype(np.float32)
            _augment(features, rng)
            # Some windows are not told the style: the stage needs to know what is common to all styles.
            hidden = rng.random(BATCH) < 0.15
            losses = _losses(both, hidden, *map(torch.as_tensor, (previous, features, *rest)))
            loss = sum(weight * losses[key] for key, weight in _WEIGHTS.items())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(both.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        row = {"epoch": epoch, "train": total / STEPS_AN_EPOCH, **evaluate(both, held)}
        row["seconds"] = time.process_time() - begin
        print(" ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
        torch.save(
            {
                "network": both.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "torch": torch.get_rng_state(),
                "numpy": rng.bit_generator.state,
                "epochs": epoch + 1,
            },
            path,
        )


def evaluate(both: Both, data: Rows, most: int = 768) -> dict[str, float]:
    """Losses over windows that do not overlap (`most` of them), each style from the same piece."""
    both.eval()
    rng = np.random.default_rng(0)
    first = np.concatenate(
        [np.arange(a, b, WINDOW) for a, b in zip(data.start[:-1], data.start[1:], strict=True)]
    )
    first = np.sort(rng.permutation(first)[:most])
    total: dict[str, float] = {}
    with torch.no_grad():
        for at in range(0, len(first), 128):
            part = first[at : at + 128]
            rows = map(torch.as_tensor, _batch(data, part, rng, 0.0))
            for key, value in _losses(both, np.zeros(len(part), bool), *rows).items():
                total[key] = total.get(key, 0.0) + float(value) * len(part) / len(first)
    return total
