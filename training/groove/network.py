"""The groove network: bidirectional GRUs over 32 sixteenths, their mean, and a guess of the style."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segue.humanize.encoding import CLASS_COUNT, FEATURES, PATTERN, SLOT_STEPS, STYLES, TEMPO, WINDOW_STEPS
from training.common.recurrent import GruBank

#: Least spreads that the network may state: timing in steps, velocity in [0, 1].
MIN_TIMING_SPREAD = 0.02
MIN_VELOCITY_SPREAD = 0.02
#: Players in the network, and units of each of their layers.
PLAYERS, HIDDEN = 2, 64
DROPOUT = 0.25


class WholeUnitDropout(nn.Module):
    """Dropout that silences the same units over the whole window (Gal and Ghahramani 2016)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """`x` is (batch, steps, units)."""
        if not self.training:
            return x
        kept = torch.rand(x.shape[0], 1, x.shape[2]) > self.share
        return x * (kept / (1 - self.share))


class Player(nn.Module):
    """Hits of a two-bar window to what a drummer would do with them.

    Input `features` (batch, 32, FEATURES); outputs, each (batch, 32, 9): `offset` in steps, `velocity` in
    [0, 1], and the spread of either, in the same units (the scale of a Laplace distribution).
    """

    def __init__(self, hidden: int = HIDDEN, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.first = nn.GRU(FEATURES, hidden, batch_first=True, bidirectional=True)
        self.second = nn.GRU(2 * hidden, hidden, batch_first=True, bidirectional=True)
        self.dropout = WholeUnitDropout(dropout)
        self.head = nn.Linear(2 * hidden, 4 * CLASS_COUNT)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        return self.answer(self.hidden(features))

    def hidden(self, features: Tensor) -> Tensor:
        """What the recurrent layers make of the features, (batch, 32, 2 * hidden)."""
        x = self.dropout(self.first(features)[0])
        return self.dropout(self.second(x)[0])

    def answer(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The four outputs from `hidden`."""
        offset, velocity, timing, dynamics = self.head(x).split(CLASS_COUNT, dim=2)
        return (
            0.5 * torch.tanh(offset),
            torch.sigmoid(velocity),
            MIN_TIMING_SPREAD + 0.5 * torch.sigmoid(timing),
            MIN_VELOCITY_SPREAD + 0.5 * torch.sigmoid(dynamics),
        )


class StyleGuess(nn.Module):
    """The probability of each of `STYLES`, (batch, 10), from the pattern of the piece and its tempo alone."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(SLOT_STEPS * CLASS_COUNT + 2, len(STYLES))

    def logits(self, features: Tensor) -> Tensor:
        """Unnormalised, (batch, 10), from `features` (batch, 32, FEATURES)."""
        pattern = features[:, :SLOT_STEPS, PATTERN].flatten(1)
        return self.score(torch.cat([pattern, features[:, 0, TEMPO]], dim=1))

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        return torch.softmax(self.logits(features), dim=1)


class GrooveNetwork(nn.Module):
    """The mean of its players, inputs and outputs as theirs, and a guess of the style.

    `matched` holds for offset and velocity and each step a centre and a factor: answers are moved away from
    the centre by the factor, so that their spread comes nearer to the drummers' (a mean varies too little).
    """

    def __init__(self, players: int = PLAYERS, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.players = nn.ModuleList(Player(hidden) for _ in range(players))
        self.style = StyleGuess()
        self.register_buffer("matched", torch.tensor([0.0, 1.0]).repeat(2, WINDOW_STEPS, 1))

    def match_spread(self, centre: Tensor, factor: Tensor) -> None:
        """Set centres and factors, (2, 4) each: offset and velocity, step mod 4."""
        for i, values in enumerate((centre, factor)):
            self.matched[:, :, i] = values.repeat(1, WINDOW_STEPS // 4)

    def hidden(self, features: Tensor) -> list[Tensor]:
        """`Player.hidden` of each player."""
        return [player.hidden(features) for player in self.players]

    def written_out(self) -> GrooveNetwork:
        """The same network for TFLite, where all players take each step together."""
        return WrittenOutGroove(self)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        hidden = self.hidden(features)
        answers = [player.answer(x) for player, x in zip(self.players, hidden, strict=True)]
        offset, velocity, timing, dynamics = (
            sum(parts) / len(answers) for parts in zip(*answers, strict=True)
        )
        centre, factor = self.matched[:, None, :, :1], self.matched[:, None, :, 1:]
        offset = centre[0] + factor[0] * (offset - centre[0])
        velocity = centre[1] + factor[1] * (velocity - centre[1])
        return offset.clamp(-0.5, 0.5), velocity.clamp(0, 1), timing, dynamics, self.style(features)


class WrittenOutGroove(GrooveNetwork):
    """A `GrooveNetwork` whose recurrent layers are written out, see `training.common.recurrent`."""

    def __init__(self, network: GrooveNetwork) -> None:
        super().__init__(len(network.players), network.players[0].first.hidden_size)
        self.load_state_dict(network.state_dict())
        self.first = GruBank([player.first for player in network.players])
        self.second = GruBank([player.second for player in network.players])

    def hidden(self, features: Tensor) -> list[Tensor]:
        """As in `GrooveNetwork`, without dropout."""
        return self.second(self.first([features] * len(self.players)))
