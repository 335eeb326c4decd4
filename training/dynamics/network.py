"""The dynamics network: dilated convolutions over 128 notes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segue.humanize.phrasing import FEATURES, MAX_TIMING_MS

MIN_VELOCITY_SPREAD = 0.01
MIN_TIMING_SPREAD_MS = 1.0


class DynamicsNetwork(nn.Module):
    """Notes of a track to how a player strikes and places them.

    Input `features` (batch, 128, FEATURES); outputs, each (batch, 128): `velocity` in [0, 1], `timing` in
    ms, and the spread of either in the same units (the scale of a Laplace distribution).
    """

    def __init__(
        self, channels: int = 48, dilations: tuple[int, ...] = (1, 2, 4, 8), dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.enter = nn.Conv1d(FEATURES, channels, 1)
        self.blocks = nn.ModuleList(
            nn.Conv1d(channels, channels, 5, padding=2 * d, dilation=d) for d in dilations
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv1d(channels, 4, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        # Zero outside the piece at every layer, as at the edges of the window.
        present = features[:, :, :1].transpose(1, 2)
        x = self.enter(features.transpose(1, 2))
        for block in self.blocks:
            x = x + self.dropout(torch.relu(block(x * present)))
        velocity, timing, velocity_spread, timing_spread = self.head(x).unbind(1)
        return (
            torch.sigmoid(velocity),
            MAX_TIMING_MS * torch.tanh(timing),
            MIN_VELOCITY_SPREAD + 0.3 * torch.sigmoid(velocity_spread),
            MIN_TIMING_SPREAD_MS + 30 * torch.sigmoid(timing_spread),
        )
