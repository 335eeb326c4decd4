"""The melody network: a sum of feature embeddings, one GRU, and heads for pitch, duration and section end.

The pitch is expected in two ways that are added up: as a step of the scale (above the tonic) and as an
interval from the last note, which is the same at every step.

A second, smaller GRU reads the music after a gap backwards; its state is one more input of the first.
"""

from __future__ import annotations

import torch
from torch import nn

from segue.complete.encoding import DURATIONS, PITCH_TOKENS
from segue.complete.features import COLUMN, INTERVAL_INDEX, INTERVALS, OFFSETS, WIDTH
from training.common.recurrent import gru_step


class MelodyNetwork(nn.Module):
    """p(pitch | past) and p(duration | pitch, past) of the next event, and whether the last one ended a
    section.
    """

    def __init__(
        self, size: int = 96, hidden: int = 256, ahead: int = 96, rank: int = 64, dropout: float = 0.15
    ) -> None:
        super().__init__()
        self.size, self.hidden, self.ahead = size, hidden, ahead
        self.embed = nn.Parameter(torch.randn(WIDTH, size) * 0.05)
        self.embed_bias = nn.Parameter(torch.zeros(size))
        self.gru = nn.GRU(size + ahead, hidden, batch_first=True)
        self.reader = nn.GRU(size, ahead, batch_first=True)
        joined = size + hidden
        self.pitch = nn.Linear(joined, PITCH_TOKENS)
        self.interval = nn.Linear(joined, INTERVALS)
        self.duration_context = nn.Linear(joined, rank)
        self.duration_pitch = nn.Parameter(torch.randn(PITCH_TOKENS, rank) * 0.05)
        self.duration = nn.Linear(rank, len(DURATIONS))
        self.end = nn.Linear(joined, 1)
        #: What each feature says of pitch, interval and duration by itself.
        self.skip_pitch = nn.Parameter(torch.zeros(WIDTH, PITCH_TOKENS))
        self.skip_interval = nn.Parameter(torch.zeros(WIDTH, INTERVALS))
        self.skip_duration = nn.Parameter(torch.zeros(WIDTH, len(DURATIONS)))
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("index", torch.from_numpy(INTERVAL_INDEX), persistent=False)

    def bag(self, rows: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Sum of the table's rows that `rows` (batch, steps, features) name, (batch, steps, columns)."""
        batch, steps, count = rows.shape
        return nn.functional.embedding_bag(rows.reshape(-1, count), table, mode="sum").view(batch, steps, -1)

    def read(self, reading: torch.Tensor) -> torch.Tensor:
        """States (batch, steps + 1, ahead) before and after each event read, from rows in the order read."""
        states, _ = self.reader(torch.relu(self.bag(reading, self.embed) + self.embed_bias))
        return torch.cat([torch.zeros_like(states[:, :1]), states], 1)

    def encode(
        self, rows: torch.Tensor, ahead: torch.Tensor | None = None, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Context of each row, (batch, steps, size + hidden + P + D), and the last state.

        `rows` (batch, steps, features) indices; `ahead` (batch, steps, ahead) what was read, None: nothing.
        """
        x = self.dropout(torch.relu(self.bag(rows, self.embed) + self.embed_bias))
        if ahead is None:
            ahead = x.new_zeros(*x.shape[:2], self.ahead)
        out, last = self.gru(torch.cat([x, ahead], -1), state)
        joined = torch.cat([self.dropout(out), x], -1)
        skip = torch.cat([self.skip_pitch, self.skip_interval, self.skip_duration], 1)
        direct = self.bag(rows, skip)
        pitches, intervals, durations = direct.split([PITCH_TOKENS, INTERVALS, len(DURATIONS)], -1)
        intervals = nn.functional.pad(self.interval(joined) + intervals, (0, 1))
        # Rows that pad a batch hold zeros, which name no note.
        note = (rows[..., COLUMN["note_pitch"]] - OFFSETS["note_pitch"]).clamp(min=0)
        pitches = pitches + intervals.gather(-1, self.index[note])
        return torch.cat([joined, pitches, durations], -1), last

    def heads(self, context: torch.Tensor, pitch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits of pitch, of duration given the `pitch` tokens, and of the end; leading axes as given."""
        inner, pitches, durations = context.split([self.size + self.hidden, PITCH_TOKENS, len(DURATIONS)], -1)
        hidden = torch.relu(self.duration_context(inner) + self.duration_pitch[pitch])
        return self.pitch(inner) + pitches, self.duration(hidden) + durations, self.end(inner)[..., 0]


class MelodyStep(nn.Module):
    """The network as it is shipped: one event a call, for any number of continuations; the state explicit."""

    def __init__(self, network: MelodyNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, h: torch.Tensor, ahead: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """`x` (N, WIDTH) multi-hot, `h` (N, hidden), `ahead` (N, ahead): logits of pitch (N, P) and of the
        interval from the last note (N, INTERVALS; see `segue.complete.features.pitch_logits`), of duration
        for each pitch (N, P, D) and of an end (N, 1), the next `h`, and the next `ahead` if `x` is a row
        that is read.
        """
        n = self.network
        v = torch.relu(x @ n.embed + n.embed_bias)
        state = gru_step(n.gru, torch.cat([v, ahead], 1), h)
        context = torch.cat([state, v], 1)
        inner = torch.relu(n.duration_context(context)[:, None] + n.duration_pitch)
        return (
            n.pitch(context) + x @ n.skip_pitch,
            n.interval(context) + x @ n.skip_interval,
            n.duration(inner) + (x @ n.skip_duration)[:, None],
            n.end(context),
            state,
            gru_step(n.reader, v, ahead),
        )
