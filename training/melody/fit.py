"""Fitting a melody network: batches of windows, gaps, styles and chords that come and go, early stopping.

The reference of `training.melody.reference` is fitted by the same functions; it cannot look ahead, so it is
given the rows that know the past alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from segue.complete.encoding import REST
from segue.complete.features import READING
from segue.complete.judge import hidden, hidden_style
from segue.complete.sampler import AHEAD_MEMORY
from training.melody.examples import Example, reading

#: Shares of training windows that have gaps, that are told the style, and that are told the chords.
GAP_SHARE = 0.5
STYLE_SHARE = 0.6
CHORD_SHARE = 0.6
END_WEIGHT = 0.3
#: How often an epoch visits a tune of a corpus (there are few lead sheets), and copies of it in other keys.
VISITS = {"openewld": 2}
MOVED_VISITS = 2


@dataclass(frozen=True)
class Window:
    """Rows (steps, features), what is read after them, backwards (events, len(READING)), how much of that has
    been read at each row (steps,), and targets of pitch, duration and end (3, steps), -1 for none.
    """

    rows: np.ndarray
    reading: np.ndarray
    read: np.ndarray
    target: np.ndarray


@dataclass(frozen=True)
class Batch:
    """The fields of windows as tensors, (batch, ...)."""

    rows: torch.Tensor
    reading: torch.Tensor
    read: torch.Tensor
    pitch: torch.Tensor
    duration: torch.Tensor
    end: torch.Tensor


def window(
    example: Example,
    start: int,
    stop: int,
    gaps: int | None = None,
    style: bool = False,
    chords: bool = False,
) -> Window:
    """Rows [start, stop) of an example: those that know the past alone, or those of a variant of `gaps`; told
    the style and the chords, or not.
    """
    source = example.rows if gaps is None else example.gaps[gaps].rows
    end = min(stop + AHEAD_MEMORY // 2, len(example.events))
    read = np.zeros(stop - start, np.int64)
    after = np.zeros((0, len(READING)), np.int64)
    if gaps is not None:
        ahead = example.gaps[gaps].ahead[start:stop]
        read = np.where((ahead >= 0) & (ahead < end), end - ahead, 0)
        after = reading(example.rows[start : end + 1])[::-1].astype(np.int64)
        if not style:
            after = hidden_style(after)
    target = np.stack(
        [
            np.append(example.events.pitch, -1)[start:stop],
            np.append(example.events.duration, -1)[start:stop],
            np.concatenate([[-1], example.end.astype(np.int64)])[start:stop],
        ]
    )
    return Window(hidden(source[start:stop], not style, not chords), after, read, target)


def random_window(example: Example, start: int, stop: int, rng: np.random.Generator, ahead: bool) -> Window:
    """A training window, with what is known drawn at random."""
    gaps = int(rng.integers(len(example.gaps))) if ahead and rng.random() < GAP_SHARE else None
    return window(example, start, stop, gaps, rng.random() < STYLE_SHARE, rng.random() < CHORD_SHARE)


def collate(windows: list[Window]) -> Batch:
    """Windows of several lengths, padded at the end with rows that count for nothing."""
    steps = max(len(w.rows) for w in windows)
    most = max(len(w.reading) for w in windows)
    rows = np.zeros((len(windows), steps, windows[0].rows.shape[1]), np.int64)
    after = np.zeros((len(windows), most, len(READING)), np.int64)
    read = np.zeros((len(windows), steps), np.int64)
    targets = np.full((3, len(windows), steps), -1, np.int64)
    for i, w in enumerate(windows):
        rows[i, : len(w.rows)] = w.rows
        after[i, : len(w.reading)] = w.reading
        read[i, : len(w.read)] = w.read
        targets[:, i, : len(w.rows)] = w.target
    return Batch(*(torch.from_numpy(a) for a in (rows, after, read, *targets)))


def batches(
    examples: list[Example], rng: np.random.Generator, ahead: bool, length: int = 128, events: int = 4096
) -> Iterator[Batch]:
    """One epoch: every tune cut at random places into windows of up to `length` rows."""
    pieces = []
    for example in examples:
        count = len(example.rows)
        visits = [example] * VISITS.get(example.corpus, 1)
        if example.moved:
            visits += [example.moved[k] for k in rng.permutation(len(example.moved))[:MOVED_VISITS]]
        for visited in visits:
            cut = int(rng.integers(1, length + 1)) if count > length else count
            edges = [0, *range(cut, count, length), count]
            pieces += [(visited, a, b) for a, b in pairwise(edges) if b - a >= 8]
    pieces = [pieces[k] for k in rng.permutation(len(pieces))]
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
        yield collate([random_window(example, a, b, rng, ahead) for example, a, b in groups[k]])


def context_of(network: nn.Module, batch: Batch) -> torch.Tensor:
    """The network's context of each row, with the music ahead where the batch has any."""
    ahead = None
    if batch.read.any():
        states = network.read(batch.reading)
        index = batch.read[..., None].expand(-1, -1, states.shape[-1])
        ahead = states.gather(1, index) * (batch.read > 0)[..., None]
    return network.encode(batch.rows, ahead)[0]


def losses(network: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Nats of pitch and duration of each row, (batch, steps), 0 where there is none; the sum of the ends."""
    pitch, duration, end = network.heads(context_of(network, batch), batch.pitch.clamp(min=0))
    known = batch.end >= 0
    return (
        functional.cross_entropy(pitch.transpose(1, 2), batch.pitch, ignore_index=-1, reduction="none"),
        functional.cross_entropy(duration.transpose(1, 2), batch.duration, ignore_index=-1, reduction="none"),
        functional.binary_cross_entropy_with_logits(end[known], batch.end[known].float(), reduction="sum"),
    )


@torch.no_grad()
def validate(network: nn.Module, examples: list[Example], gaps: int | None = None) -> dict[str, float]:
    """Nats a note (rests counted into their notes), all and by corpus, style and chords hidden."""
    network.eval()
    cost: dict[str, np.ndarray] = {}
    order = sorted(examples, key=lambda e: len(e.rows))
    for k in range(0, len(order), 32):
        part = order[k : k + 32]
        pitch, duration, _ = losses(network, collate([window(e, 0, len(e.rows), gaps) for e in part]))
        for example, nats in zip(part, (pitch + duration).sum(1).tolist(), strict=True):
            notes = int((example.events.pitch != REST).sum())
            for name in ("all", example.corpus):
                cost[name] = cost.get(name, 0) + np.array([nats, notes])
    network.train()
    return {name: float(nats / notes) for name, (nats, notes) in sorted(cost.items())}


def fit(
    network: nn.Module,
    train: list[Example],
    valid: list[Example],
    seed: int,
    epochs: int,
    checkpoint: Path,
    rate: float = 3e-3,
) -> float:
    """Train with AdamW and a cosine schedule; the weights of the best validation epoch are kept and loaded.

    What is needed to go on after a break lies beside `checkpoint`. Returns seconds of CPU.
    """
    ahead = hasattr(network, "read")
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02, betas=(0.9, 0.98))
    per_epoch = sum(1 for _ in batches(train, np.random.default_rng(seed), False)) + 8
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=epochs * per_epoch + 1, pct_start=0.08
    )
    state = {"epoch": 0, "best": float("inf"), "seconds": 0.0}
    resume = checkpoint.with_suffix(".resume.pt")
    if resume.is_file():
        stored = torch.load(resume, weights_only=False)
        network.load_state_dict(stored["network"])
        optimizer.load_state_dict(stored["optimizer"])
        schedule.load_state_dict(stored["schedule"])
        rng.bit_generator.state = stored["rng"]
        torch.set_rng_state(stored["torch"])
        state = stored["state"]
    began = time.process_time() - state["seconds"]
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    for epoch in range(state["epoch"], epochs):
        total, count = 0.0, 0
        for batch in batches(train, rng, ahead):
            pitch, duration, end = losses(network, batch)
            size = int((batch.pitch >= 0).sum())
            loss = pitch.sum() + duration.sum()
            optimizer.zero_grad(set_to_none=True)
            ((loss + END_WEIGHT * end) / size).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
            count += size
        scores = validate(network, valid)
        gap = f", in gaps {validate(network, valid, 0)['all']:.4f}" if ahead else ""
        corpora = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        state["seconds"] = time.process_time() - began
        state["epoch"] = epoch + 1
        print(
            f"epoch {epoch + 1}: training {total / count:.4f} nats an event, validation nats a note {corpora}"
            f"{gap}, {state['seconds']:.0f} s CPU",
            flush=True,
        )
        if scores["all"] < state["best"]:
            state["best"] = scores["all"]
            torch.save(network.state_dict(), checkpoint)
        torch.save(
            {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "rng": rng.bit_generator.state,
                "torch": torch.get_rng_state(),
                "state": state,
            },
            resume,
        )
    network.load_state_dict(torch.load(checkpoint))
    network.eval()
    return state["seconds"]
