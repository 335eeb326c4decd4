"""The network: convolutions and attention over the beats of a window, with four small heads."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional

from segue.chords import MAJMIN_CLASSES
from segue.harmonize.encoding import BASS, FEATURES, MELODY, OTHERS, PRESENCE, SLOTS
from segue.harmonize.vocabulary import COLOURS

OUTPUTS = ["chord", "colour", "key", "change"]
WIDTH, BLOCKS, HEADS, KERNEL = 88, 3, 4, 7
_COLOUR_WIDTH = 32
#: Periods in beats of the waves that attention tells distances by: parts of bars, bars, phrases, sections.
_PERIODS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512)
#: Added to the attention to beats that are not there.
_ABSENT = -1e4


class Convolution(nn.Module):
    """What the beats around a beat say: a gated depthwise convolution (Gulati et al. 2020, Conformer)."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gate, self.content, self.out = (nn.Linear(width, width) for _ in range(3))
        padding = dilation * (KERNEL // 2)
        self.depthwise = nn.Conv1d(width, width, KERNEL, padding=padding, dilation=dilation, groups=width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """States (batch, beats, width); `present` (batch, beats, 1) is 1 where there is a beat."""
        y = self.norm(x)
        y = self.content(y) * torch.sigmoid(self.gate(y)) * present
        y = functional.silu(self.depthwise(y.transpose(1, 2))).transpose(1, 2)
        return x + self.drop(self.out(y))


class Attention(nn.Module):
    """What beats far away say: attention whose bias is a Fourier series of the distance.

    With waves of bars and phrases a head can look to the same place in other bars, as chords repeat. The
    series is a product of waves at either beat, so it goes into the products of queries and keys.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.cosine = nn.Parameter(torch.zeros(HEADS, 1, len(_PERIODS)))
        self.sine = nn.Parameter(torch.zeros(HEADS, 1, len(_PERIODS)))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, present: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
        """As `Convolution`; `waves` (batch, beats, 2 * periods) are cosines and sines."""
        batch, beats, width = x.shape
        y = self.norm(x)
        query, key, value = (
            part(y).reshape(batch, beats, HEADS, width // HEADS).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        cosine, sine = waves[:, None].chunk(2, dim=-1)
        ours = torch.cat(
            [self.cosine * cosine + self.sine * sine, self.cosine * sine - self.sine * cosine], -1
        )
        score = torch.matmul(query, key.transpose(2, 3)) * (width // HEADS) ** -0.5
        score = (
            score
            + torch.matmul(ours, waves[:, None].transpose(2, 3))
            + (1 - present.transpose(1, 2))[:, None] * _ABSENT
        )
        y = torch.matmul(torch.softmax(score, dim=-1), value)
        return x + self.drop(self.out(y.transpose(1, 2).reshape(batch, beats, width)))


class Perceptron(nn.Module):
    """Two layers on every beat by itself."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.hidden, self.out = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """States (batch, beats, width)."""
        return x + self.drop(self.out(self.drop(functional.silu(self.hidden(self.norm(x))))))


class HarmonyNetwork(nn.Module):
    """Features (batch, beats, FEATURES) to logits: chord (25), colour (10), key (24) and chord change (1).

    The colour is told from the notes as they lie above the root, which the chord head finds, so that a
    seventh looks the same over every root.
    """

    def __init__(self, width: int = WIDTH, blocks: int = BLOCKS, dropout: float = 0.3) -> None:
        super().__init__()
        inner = 0.7 * dropout
        self.drop = nn.Dropout(dropout)
        self.embed = nn.Linear(FEATURES, width)
        self.near = nn.ModuleList(Convolution(width, 1 + i % 2, inner) for i in range(blocks))
        self.far = nn.ModuleList(Attention(width, inner) for _ in range(blocks))
        self.each = nn.ModuleList(Perceptron(width, inner) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.chord = nn.Linear(width, MAJMIN_CLASSES)
        self.colour_in = nn.Linear(width + 3 * 12 + 2, _COLOUR_WIDTH)
        self.colour = nn.Linear(_COLOUR_WIDTH, len(COLOURS))
        self.key = nn.Linear(width, 24)
        self.change = nn.Linear(width, 1)
        # Row 12 * root + pitch class gives to the interval of the pitch class above the root.
        above = torch.zeros(144, 12)
        for root in range(12):
            for pitch_class in range(12):
                above[12 * root + pitch_class, (pitch_class - root) % 12] = 1
        self.register_buffer("above", above, persistent=False)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """All outputs, in the order of OUTPUTS."""
        present = features[..., PRESENCE].amax(-1, keepdim=True)
        angle = torch.arange(features.shape[1])[:, None] * (2 * math.pi / torch.tensor(_PERIODS))
        # Without waves where nothing is, the bias depends on the input: a converter would else work it out
        # and store it, with beats times beats numbers a head.
        waves = torch.cat([torch.cos(angle), torch.sin(angle)], dim=-1) * present
        x = self.embed(self.drop(features))
        for near, far, each in zip(self.near, self.far, self.each, strict=True):
            x = each(far(near(x, present), present, waves))
        x = self.drop(self.norm(x))
        chord = self.chord(x)
        # The chord head learns from the chords alone.
        share = torch.softmax(chord.detach(), dim=-1)
        major, minor = share[..., :12], share[..., 12:24]
        root = major + minor
        melody = sum(features[..., MELODY].chunk(SLOTS, dim=-1)) / 2
        parts = [
            torch.matmul((root.unsqueeze(-1) * part.unsqueeze(-2)).flatten(-2), self.above)
            for part in (melody, features[..., BASS], features[..., OTHERS])
        ]
        mode = torch.cat([major.sum(-1, keepdim=True), minor.sum(-1, keepdim=True)], dim=-1)
        above = torch.relu(self.colour_in(torch.cat([x, *parts, mode], dim=-1)))
        return chord, self.colour(above), self.key(x), self.change(x)


class HarmonyEnsemble(nn.Module):
    """Networks that differ in what they were initialised with and saw when, and answer as one.

    The answer is the mean of their log-probabilities, and of the logits of a change.
    """

    def __init__(self, members: Iterable[HarmonyNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """As `HarmonyNetwork`."""
        answers = zip(*(member(features) for member in self.members), strict=True)
        return tuple(
            sum(torch.log_softmax(logits, -1) if logits.shape[-1] > 1 else logits for logits in answer)
            / len(self.members)
            for answer in answers
        )


@torch.no_grad()
def norms_folded(network: HarmonyEnsemble) -> HarmonyEnsemble:
    """The same network with the scale and shift of its norms in the layers after them.

    A converter would do so after the weights are rounded, and they would lie on no grid any more.
    """
    network = copy.deepcopy(network)
    for member in network.members:
        heads = (member.chord, member.colour_in, member.key, member.change)
        for norm, layers in (
            *((block.norm, (block.gate, block.content)) for block in member.near),
            *((block.norm, (block.query, block.key, block.value)) for block in member.far),
            *((block.norm, (block.hidden,)) for block in member.each),
            (member.norm, heads),
        ):
            scale, shift = norm.weight, norm.bias
            width = len(scale)
            for layer in layers:
                layer.bias += layer.weight[:, :width] @ shift
                layer.weight[:, :width] *= scale
            norm.weight = norm.bias = None
    return network
