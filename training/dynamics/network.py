"""The dynamics network: dilated convolutions over 256 notes, told what kind of part they belong to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segue.humanize.phrasing import MAX_TIMING_MS, NOTE_BEAT, NOTE_FEATURES, PART_FEATURES

MIN_VELOCITY_SPREAD = 0.01
MIN_TIMING_SPREAD_MS = 1.0
#: Players in the network, channels of each, and the dilations of their convolutions of five notes.
PLAYERS, CHANNELS, DILATIONS = 2, 48, (1, 2, 4, 8, 16, 32)
#: Units of the layer that hears the part's row.
PART_UNITS = 32


class Player(nn.Module):
    """Notes of a part to how a player strikes and places them; inputs and outputs as `DynamicsNetwork`'s.

    `level` is the mean velocity of the training notes, in [0, 1].
    """

    def __init__(self, level: float = 0.64, dropout: float = 0.2, part_dropout: float = 0.3) -> None:
        super().__init__()
        self.enter = nn.Linear(NOTE_FEATURES, CHANNELS)
        self.part = nn.Sequential(
            nn.Dropout(part_dropout),
            nn.Linear(PART_FEATURES, PART_UNITS),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(PART_UNITS, CHANNELS),
        )
        self.blocks = nn.ModuleList(
            nn.Conv1d(CHANNELS, CHANNELS, 5, padding=2 * d, dilation=d) for d in DILATIONS
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv1d(CHANNELS, 4, 1)
        nn.init.constant_(self.head.bias[0], float(torch.logit(torch.tensor(level))))

    def forward(self, features: Tensor, part: Tensor, present: Tensor) -> tuple[Tensor, ...]:
        """From normalised inputs; `present` (batch, 1, 256) is 1 where there is a note."""
        x = (self.enter(features) + self.part(part)[:, None]).transpose(1, 2)
        # Zero outside the piece at every layer, as at the edges of the window.
        for block in self.blocks:
            x = x + self.dropout(torch.relu(block(x * present)))
        velocity, timing, velocity_spread, timing_spread = self.head(x).unbind(1)
        return (
            torch.sigmoid(velocity),
            MAX_TIMING_MS * torch.tanh(timing),
            MIN_VELOCITY_SPREAD + 0.3 * torch.sigmoid(velocity_spread),
            MIN_TIMING_SPREAD_MS + 30 * torch.sigmoid(timing_spread),
        )


class DynamicsNetwork(nn.Module):
    """The mean of several players.

    Inputs `features` (batch, 256, NOTE_FEATURES) and `part` (batch, PART_FEATURES); outputs, each
    (batch, 256): `velocity` in [0, 1], `timing` in ms, and the spread of either in the same units (the scale
    of a Laplace distribution). Velocities are moved away from a centre by a factor, so that they vary nearly
    as a player's do (what is expected varies too little); there is one factor for notes whose place in the
    beat is not known and one for those where it is.
    """

    def __init__(self, players: int = PLAYERS) -> None:
        super().__init__()
        self.players = nn.ModuleList(Player() for _ in range(players))
        self.register_buffer("note_scale", torch.tensor([0.0, 1.0])[:, None].repeat(1, NOTE_FEATURES))
        self.register_buffer("part_scale", torch.tensor([0.0, 1.0])[:, None].repeat(1, PART_FEATURES))
        self.register_buffer("centre", torch.tensor(0.0))
        self.register_buffer("factor", torch.ones(2))

    def normalise(self, notes: Tensor, parts: Tensor) -> None:
        """Take mean and spread of the inputs from notes (n, NOTE_FEATURES) and parts (p, PART_FEATURES)."""
        self.note_scale[:] = torch.stack([notes.mean(0), notes.std(0) + 0.01])
        # The first column says where there is a note.
        self.note_scale[:, 0] = torch.tensor([0.0, 1.0])
        self.part_scale[:] = torch.stack([parts.mean(0), parts.std(0) + 0.01])

    def match_spread(self, centre: float, factor: tuple[float, float]) -> None:
        """Set the centre, and the factors without and with beats."""
        self.centre.fill_(centre)
        self.factor[:] = torch.tensor(factor)

    def forward(self, features: Tensor, part: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        present = features[:, :, :1].transpose(1, 2)
        on_beat = features[:, :, NOTE_BEAT.start]
        features = ((features - self.note_scale[0]) / self.note_scale[1]).clamp(-5, 5)
        part = ((part - self.part_scale[0]) / self.part_scale[1]).clamp(-4, 4)
        answers = [player(features, part, present) for player in self.players]
        velocity, timing, velocity_spread, timing_spread = (
            sum(parts) / len(answers) for parts in zip(*answers, strict=True)
        )
        factor = self.factor[0] + on_beat * (self.factor[1] - self.factor[0])
        velocity = (self.centre + factor * (velocity - self.centre)).clamp(0, 1)
        return velocity, timing, velocity_spread, timing_spread
