"""The network: a bidirectional GRU over the beats of a window, with four small heads."""

from __future__ import annotations

import torch
from torch import nn

from segue.chords import MAJMIN_CLASSES
from segue.harmonize.encoding import FEATURES
from segue.harmonize.vocabulary import COLOURS

OUTPUTS = ["chord", "colour", "key", "change"]


class HarmonyNetwork(nn.Module):
    """Features (batch, beats, FEATURES) to logits: chord (25), colour (8), key (24) and chord change (1)."""

    def __init__(self, width: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        self.embed = nn.Linear(FEATURES, width)
        self.first = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.second = nn.GRU(2 * width, width, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(dropout)
        self.chord = nn.Linear(2 * width, MAJMIN_CLASSES)
        self.colour = nn.Linear(2 * width, len(COLOURS))
        self.key = nn.Linear(2 * width, 24)
        self.change = nn.Linear(2 * width, 1)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """All four outputs, in the order of OUTPUTS."""
        x = torch.relu(self.embed(self.drop(features)))
        x, _ = self.first(self.drop(x))
        x, _ = self.second(self.drop(x))
        x = self.drop(x)
        return self.chord(x), self.colour(x), self.key(x), self.change(x)
