"""The groove network: a bidirectional GRU over 32 sixteenths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segue.humanize.encoding import CLASS_COUNT, FEATURES

#: Least spreads that the network may state: timing in steps, velocity in [0, 1].
MIN_TIMING_SPREAD = 0.02
MIN_VELOCITY_SPREAD = 0.02


class GrooveNetwork(nn.Module):
    """Hits of a two-bar window to what a drummer would do with them.

    Input `features` (batch, 32, FEATURES); outputs, each (batch, 32, 9): `offset` in steps, `velocity` in
    [0, 1], and the spread of either, in the same units (the scale of a Laplace distribution).
    """

    def __init__(self, hidden: int = 86, dropout: float = 0.3) -> None:
        super().__init__()
        self.first = nn.GRU(FEATURES, hidden, batch_first=True, bidirectional=True)
        self.second = nn.GRU(2 * hidden, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, 4 * CLASS_COUNT)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        x = self.dropout(self.first(features)[0])
        x = self.dropout(self.second(x)[0])
        offset, velocity, timing, dynamics = self.head(x).split(CLASS_COUNT, dim=2)
        return (
            0.5 * torch.tanh(offset),
            torch.sigmoid(velocity),
            MIN_TIMING_SPREAD + 0.5 * torch.sigmoid(timing),
            MIN_VELOCITY_SPREAD + 0.5 * torch.sigmoid(dynamics),
        )
