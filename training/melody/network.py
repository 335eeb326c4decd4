"""The melody network: a sum of feature embeddings, one GRU, and heads for pitch, duration and section end."""

from __future__ import annotations

import torch
from torch import nn

from segue.complete.encoding import DURATIONS, PITCH_TOKENS, WIDTH


class MelodyNetwork(nn.Module):
    """p(pitch | past) and p(duration | pitch, past) of the next event, and whether the last one ended a
    section.
    """

    def __init__(self, size: int = 64, hidden: int = 192, rank: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        self.size, self.hidden = size, hidden
        self.embed = nn.Parameter(torch.randn(WIDTH, size) * 0.05)
        self.embed_bias = nn.Parameter(torch.zeros(size))
        self.gru = nn.GRU(size, hidden, batch_first=True)
        joined = size + hidden
        self.pitch = nn.Linear(joined, PITCH_TOKENS)
        self.duration_context = nn.Linear(joined, rank)
        self.duration_pitch = nn.Parameter(torch.randn(PITCH_TOKENS, rank) * 0.05)
        self.duration = nn.Linear(rank, len(DURATIONS))
        self.end = nn.Linear(joined, 1)
        self.dropout = nn.Dropout(dropout)

    def encode(
        self, rows: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Context of each row, (batch, steps, size + hidden), and the last state, from rows of feature
        indices.
        """
        batch, steps, count = rows.shape
        total = nn.functional.embedding_bag(rows.reshape(-1, count), self.embed, mode="sum")
        x = self.dropout(torch.relu(total + self.embed_bias)).view(batch, steps, -1)
        out, last = self.gru(x, state)
        return torch.cat([self.dropout(out), x], -1), last

    def heads(self, context: torch.Tensor, pitch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits of pitch, of duration given the `pitch` tokens, and of the end; leading axes as given."""
        inner = torch.relu(self.duration_context(context) + self.duration_pitch[pitch])
        return self.pitch(context), self.duration(inner), self.end(context)[..., 0]


class MelodyStep(nn.Module):
    """The network as it is shipped: one event a call, the state explicit."""

    def __init__(self, network: MelodyNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """`x` (1, WIDTH) multi-hot, `h` (1, hidden): pitch (1, P), duration of each pitch (P, D), end (1,
        1), state.
        """
        n = self.network
        v = torch.relu(x @ n.embed + n.embed_bias)
        given = v @ n.gru.weight_ih_l0.T + n.gru.bias_ih_l0
        kept = h @ n.gru.weight_hh_l0.T + n.gru.bias_hh_l0
        k = n.hidden
        reset = torch.sigmoid(given[:, :k] + kept[:, :k])
        update = torch.sigmoid(given[:, k : 2 * k] + kept[:, k : 2 * k])
        new = torch.tanh(given[:, 2 * k :] + reset * kept[:, 2 * k :])
        state = new + update * (h - new)
        context = torch.cat([state, v], 1)
        inner = torch.relu(n.duration_context(context) + n.duration_pitch)
        return n.pitch(context), n.duration(inner), n.end(context), state
