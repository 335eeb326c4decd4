"""Fitting the melody network: batches of windows, goals and styles dropped in at random, early stopping."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from segue.complete.encoding import COLUMN, OFFSETS, REST, STYLES, goal_columns
from training.melody.data import Example
from training.melody.network import MelodyNetwork

#: Share of training windows that are given goals, and that are told the style.
GOAL_SHARE = 0.5
STYLE_SHARE = 0.6
#: Share of the stretches of such a window that have no goal all the same, as the music before a gap has none.
FREE_SHARE = 0.4
END_WEIGHT = 0.3
_STYLE_UNKNOWN = OFFSETS["style"] + len(STYLES)


@dataclass(frozen=True)
class Batch:
    """Tensors (batch, steps, ...): rows, targets of pitch and duration (-1: none) and end (-1: none)."""

    rows: torch.Tensor
    pitch: torch.Tensor
    duration: torch.Tensor
    end: torch.Tensor


def goals(example: Example, rng: np.random.Generator) -> np.ndarray:
    """The two goal columns of every row, as if anchors 2 to 40 events apart, mostly near, were known;
    int16.
    """
    events = example.events
    count = len(events)
    table = np.empty((count + 1, 2), np.int16)
    table[:] = goal_columns(None, 0)
    notes = np.flatnonzero(events.pitch != REST)
    at = 0
    while True:
        later = notes[notes >= at + min(1 + rng.geometric(0.1), 40)]
        if not len(later):
            return table
        anchor = int(later[0])
        if rng.random() < FREE_SHARE:
            at = anchor
            continue
        goal = int(events.pitch[anchor]), int(events.start[anchor])
        for i in range(at, anchor):
            table[i] = goal_columns(goal, int(events.start[i]))
        at = anchor


def window(example: Example, start: int, stop: int, rng: np.random.Generator | None) -> tuple:
    """Rows and targets of rows [start, stop); with `rng`, goals and the style come and go."""
    rows = example.rows[start:stop].astype(np.int64)
    if rng is None or rng.random() > STYLE_SHARE:
        rows[:, COLUMN["style"]] = _STYLE_UNKNOWN
    if rng is not None and rng.random() < GOAL_SHARE:
        rows[:, COLUMN["goal_pitch"] : COLUMN["goal_time"] + 1] = goals(example, rng)[start:stop]
    pitch = np.append(example.events.pitch, -1)[start:stop]
    duration = np.append(example.events.duration, -1)[start:stop]
    end = np.concatenate([[-1], example.end.astype(np.int64)])[start:stop]
    return rows, pitch, duration, end


def collate(windows: list[tuple]) -> Batch:
    """Windows of several lengths, padded at the end with rows that count for nothing."""
    steps = max(len(w[0]) for w in windows)
    rows = np.zeros((len(windows), steps, windows[0][0].shape[1]), np.int64)
    targets = np.full((3, len(windows), steps), -1, np.int64)
    for i, (r, *t) in enumerate(windows):
        rows[i, : len(r)] = r
        for k, value in enumerate(t):
            targets[k, i, : len(r)] = value
    return Batch(torch.from_numpy(rows), *(torch.from_numpy(t) for t in targets))


def batches(
    examples: list[Example], rng: np.random.Generator, length: int = 128, events: int = 4096
) -> Iterator[Batch]:
    """One epoch: every tune cut at random places into windows of up to `length` rows."""
    pieces = []
    for i, example in enumerate(examples):
        count = len(example.rows)
        cut = int(rng.integers(1, length + 1)) if count > length else count
        edges = [0, *range(cut, count, length), count]
        pieces += [(i, a, b) for a, b in pairwise(edges) if b - a >= 8]
    rng.shuffle(pieces)
    # Windows of like length share a batch, so that little is padded; the order of batches is random.
    pool = 1024
    groups: list[list] = []
    for k in range(0, len(pieces), pool):
        part = sorted(pieces[k : k + pool], key=lambda p: p[2] - p[1])
        while part:
            size = max(events // (part[-1][2] - part[-1][1]), 1)
            groups.append(part[-size:])
            part = part[:-size]
    for k in rng.permutation(len(groups)):
        yield collate([window(examples[i], a, b, rng) for i, a, b in groups[k]])


def losses(network: MelodyNetwork, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sums in nats over the batch: pitch, duration, end."""
    context, _ = network.encode(batch.rows)
    pitch, duration, end = network.heads(context, batch.pitch.clamp(min=0))
    known = batch.end >= 0
    return (
        functional.cross_entropy(
            pitch.flatten(0, 1), batch.pitch.flatten(), ignore_index=-1, reduction="sum"
        ),
        functional.cross_entropy(
            duration.flatten(0, 1), batch.duration.flatten(), ignore_index=-1, reduction="sum"
        ),
        functional.binary_cross_entropy_with_logits(end[known], batch.end[known].float(), reduction="sum"),
    )


@torch.no_grad()
def validate(network: MelodyNetwork, examples: list[Example]) -> tuple[float, float, float]:
    """Nats a note (rests counted into their notes), pitch and duration, and nats an end, style unknown."""
    network.eval()
    total = np.zeros(3)
    notes = events = 0
    order = sorted(examples, key=lambda e: len(e.rows))
    for k in range(0, len(order), 32):
        part = order[k : k + 32]
        batch = collate([window(e, 0, len(e.rows), None) for e in part])
        total += [float(v) for v in losses(network, batch)]
        notes += sum(int((e.events.pitch != REST).sum()) for e in part)
        events += int((batch.end >= 0).sum())
    network.train()
    return total[0] / notes, total[1] / notes, total[2] / events


def fit(
    network: MelodyNetwork,
    train: list[Example],
    valid: list[Example],
    seed: int,
    epochs: int,
    checkpoint: Path,
    rate: float = 4e-3,
) -> None:
    """Train with AdamW and a cosine schedule; the weights of the best validation epoch are kept and
    loaded.
    """
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02, betas=(0.9, 0.98))
    per_epoch = sum(1 for _ in batches_shape(train))
    steps = epochs * per_epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps + epochs * 8 + 1, pct_start=0.08
    )
    best = np.inf
    began = time.process_time()
    for epoch in range(epochs):
        total = np.zeros(3)
        count = 0
        for batch in batches(train, rng):
            pitch, duration, end = losses(network, batch)
            size = int((batch.pitch >= 0).sum())
            optimizer.zero_grad(set_to_none=True)
            ((pitch + duration + END_WEIGHT * end) / size).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += [pitch.item(), duration.item(), end.item()]
            count += size
        scores = validate(network, valid)
        nll = scores[0] + scores[1]
        print(
            f"epoch {epoch + 1}: training {(total[0] + total[1]) / count:.4f} nats an event, validation "
            f"{nll:.4f} a note (pitch {scores[0]:.4f}, duration {scores[1]:.4f}), end {scores[2]:.4f}, "
            f"{time.process_time() - began:.0f} s CPU",
            flush=True,
        )
        if nll < best:
            best = nll
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            torch.save(network.state_dict(), checkpoint)
    network.load_state_dict(torch.load(checkpoint))
    network.eval()


def batches_shape(examples: list[Example], length: int = 128, events: int = 4096) -> Iterator[int]:
    """About as many numbers as an epoch has batches, for the learning rate schedule."""
    yield from range(round(sum(len(e.rows) for e in examples) / events * 1.04))
