"""A network in training as a judge of melodies, as `segue.complete.judge` describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from segue.complete.encoding import PITCH_TOKENS
from segue.complete.features import COLUMN
from segue.complete.judge import Judgement, Prompt, Window

#: Rows of a batch, about.
_ROWS = 8192
State = Any


@dataclass(frozen=True)
class _Heard:
    """The network's state, and what was read of the music ahead (prompts, size), if anything."""

    state: State
    ahead: Tensor | None


class NetworkJudge:
    """A judge over a network with `encode` and `heads`, and perhaps `read`; see `training.melody.network`."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    @torch.no_grad()
    def start(self, prompts: Sequence[Prompt]) -> _Heard:
        """See `segue.complete.judge.Judge`."""
        lengths = np.array([len(prompt.rows) for prompt in prompts])
        rows = _padded([prompt.rows for prompt in prompts], len(COLUMN))
        # A state as large as all prompts, of whatever form; then zeros.
        _, state = self._network.encode(
            rows[:, :1] if rows.shape[1] else rows.new_zeros(len(rows), 1, len(COLUMN))
        )
        state = _each(state, torch.zeros_like)
        done = 0
        for length in np.unique(lengths[lengths > 0]).tolist():
            # All that are as long as this go on together, from where the last shorter ones ended.
            live = torch.from_numpy(np.flatnonzero(lengths >= length))
            _, now = self._network.encode(rows[live, done:length], None, _rows_of(state, live))
            _put(state, live, now)
            done = length
        return _Heard(state, self._read(prompts))

    @torch.no_grad()
    def judge(self, heard: _Heard, windows: Sequence[Window]) -> list[Judgement]:
        """See `segue.complete.judge.Judge`."""
        found: list[Judgement | None] = [None] * len(windows)
        order = sorted(range(len(windows)), key=lambda i: len(windows[i].rows))
        while order:
            count = max(_ROWS // max(len(windows[order[-1]].rows), 1), 1)
            part, order = order[-count:], order[:-count]
            own = torch.tensor([windows[i].prompt for i in part])
            rows = _padded([windows[i].rows for i in part], len(COLUMN))
            tokens = _padded([windows[i].tokens for i in part], 2)
            context, _ = self._network.encode(rows, self._ahead(heard, own, rows), _rows_of(heard.state, own))
            pitch, duration, _ = self._network.heads(context, tokens[..., 0])
            best = pitch.argmax(-1)
            _, given, _ = self._network.heads(context, best)
            likely = [
                log_softmax(logits, -1).gather(-1, tokens[..., k : k + 1])
                for k, logits in enumerate((pitch, duration))
            ]
            likely = torch.cat(likely, -1).double().numpy()
            top = torch.stack([best, given.argmax(-1)], -1).numpy()
            for j, i in enumerate(part):
                n = len(windows[i].rows)
                found[i] = Judgement(likely[j, :n], top[j, :n])
        return [j for j in found if j is not None]

    @torch.no_grad()
    def expect(self, heard: _Heard, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, _Heard]:
        """See `segue.complete.judge.Judge`."""
        given = torch.from_numpy(np.asarray(rows, np.int64))[:, None]
        everyone = torch.arange(len(rows))
        context, state = self._network.encode(given, self._ahead(heard, everyone, given), heard.state)
        every = torch.arange(PITCH_TOKENS).expand(len(rows), -1)
        pitch, duration, _ = self._network.heads(context.expand(-1, PITCH_TOKENS, -1), every)
        answers = (log_softmax(logits.double(), -1).numpy() for logits in (pitch[:, 0], duration))
        return *answers, _Heard(state, heard.ahead)

    @torch.no_grad()
    def ends(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The likelihood that each event of a tune ends a section, from its rows (events + 1, features)."""
        out = []
        for own in rows:
            context, _ = self._network.encode(torch.from_numpy(np.asarray(own, np.int64))[None])
            end = self._network.heads(context, torch.zeros(context.shape[:2], dtype=torch.int64))[2]
            out.append(torch.sigmoid(end[0, 1:]).numpy())
        return out

    def _read(self, prompts: Sequence[Prompt]) -> Tensor | None:
        known = [prompt.reading for prompt in prompts]
        if not hasattr(self._network, "read") or all(reading is None for reading in known):
            return None
        lengths = torch.tensor([0 if reading is None else len(reading) for reading in known])
        width = next(reading.shape[1] for reading in known if reading is not None)
        states = self._network.read(_padded([np.zeros((0, width)) if r is None else r for r in known], width))
        return states[torch.arange(len(known)), lengths]

    @staticmethod
    def _ahead(heard: _Heard, own: Tensor, rows: Tensor) -> Tensor | None:
        return None if heard.ahead is None else heard.ahead[own][:, None].expand(-1, rows.shape[1], -1)


def _padded(parts: Sequence[np.ndarray], width: int) -> Tensor:
    """Arrays (steps, width) of several lengths as one tensor, int64, zeros at the end."""
    out = np.zeros((len(parts), max(map(len, parts)), width), np.int64)
    for i, part in enumerate(parts):
        out[i, : len(part)] = part
    return torch.from_numpy(out)


def _each(state: State, change: Any) -> State:
    return tuple(map(change, state)) if isinstance(state, tuple) else change(state)


def _rows_of(state: State, rows: Tensor) -> State:
    """The state of some of the batch. A GRU's has a leading axis of layers, a tuple's parts have none."""
    return tuple(part[rows] for part in state) if isinstance(state, tuple) else state[:, rows]


def _put(state: State, rows: Tensor, new: State) -> None:
    if isinstance(state, tuple):
        for part, own in zip(state, new, strict=True):
            part[rows] = own
    else:
        state[:, rows] = new
