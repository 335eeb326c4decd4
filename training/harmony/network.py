"""The network: a bidirectional GRU over the beats of a window, with four small heads."""

from __future__ import annotations

import torch
from torch import nn

from segue.chords import MAJMIN_CLASSES
from segue.harmonize.encoding import BASS, FEATURES, MELODY, OTHERS
from segue.harmonize.vocabulary import COLOURS

OUTPUTS = ["chord", "colour", "key", "change"]
_COLOUR_WIDTH = 32


class HarmonyNetwork(nn.Module):
    """Features (batch, beats, FEATURES) to logits: chord (25), colour (8), key (24) and chord change (1).

    The colour is told from the notes as they lie above the root, which the chord head finds, so that a
    seventh looks the same over every root.
    """

    def __init__(self, width: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        self.embed = nn.Linear(FEATURES, width)
        self.first = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.second = nn.GRU(2 * width, width, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(dropout)
        self.chord = nn.Linear(2 * width, MAJMIN_CLASSES)
        self.colour_in = nn.Linear(2 * width + 3 * 12 + 2, _COLOUR_WIDTH)
        self.colour_out = nn.Linear(_COLOUR_WIDTH, len(COLOURS))
        self.key = nn.Linear(2 * width, 24)
        self.change = nn.Linear(2 * width, 1)
        # Row 12 * root + pitch class gives to the interval of the pitch class above the root.
        above = torch.zeros(144, 12)
        for root in range(12):
            for pitch_class in range(12):
                above[12 * root + pitch_class, (pitch_class - root) % 12] = 1
        self.register_buffer("above", above, persistent=False)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """All four outputs, in the order of OUTPUTS."""
        x = torch.relu(self.embed(self.drop(features)))
        x, _ = self.first(self.drop(x))
        x, _ = self.second(self.drop(x))
        x = self.drop(x)
        chord = self.chord(x)
        # The chord head learns from the chords alone.
        share = torch.softmax(chord.detach(), dim=-1)
        major, minor = share[..., :12], share[..., 12:24]
        root = major + minor
        melody = features[..., MELODY.start : 12] + features[..., 12 : MELODY.stop]
        parts = [
            torch.matmul((root.unsqueeze(-1) * part.unsqueeze(-2)).flatten(-2), self.above)
            for part in (melody, features[..., BASS], features[..., OTHERS])
        ]
        mode = torch.cat([major.sum(-1, keepdim=True), minor.sum(-1, keepdim=True)], dim=-1)
        colour = self.colour_out(torch.relu(self.colour_in(torch.cat([x, *parts, mode], dim=-1))))
        return chord, colour, self.key(x), self.change(x)
