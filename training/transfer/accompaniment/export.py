"""The trained networks as model folders: `accompaniment` and `style-encoder`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from segue.transfer.encoding import FEATURES, GRID_BITS, STYLE_SIZE
from segue.transfer.patterns import pack_patterns
from segue.transfer.profiles import part_histograms
from segue.transfer.style import ROWS, scaled
from training.common.export import export_model
from training.common.weights import round_weights
from training.transfer.accompaniment.data import STYLES, EncodedPiece, Rows
from training.transfer.accompaniment.evaluate import shorten
from training.transfer.accompaniment.fit import Fitted
from training.transfer.accompaniment.network import Both, Walker
from training.transfer.pieces import Piece

_EXAMPLES, _STEPS = 10, 24
_EXTRA = "styles.npz"


class _Encoder(nn.Module):
    """The encoder with the corpus that each unit alone sounds like, by which its files are checked."""

    def __init__(self, both: Both) -> None:
        super().__init__()
        self.encoder, self.corpus = both.encoder, both.corpus

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors (n, STYLE_SIZE) and logits (n, corpora)."""
        vector = self.encoder(rows)
        size = vector.square().sum(dim=-1, keepdim=True).sqrt().clamp(min=1e-6)
        # The reader learned from whole stretches; one unit tells far less than it thinks.
        return vector, self.corpus(vector / size * STYLE_SIZE**0.5) / 4


class _Step(nn.Module):
    """The walker with a product for each gate of its own, so that the number of rows is free."""

    def __init__(self, walker: Walker) -> None:
        super().__init__()
        self.walker = walker
        cell = walker.cell
        self.given, self.kept = (
            nn.ModuleList(_linear(w, b) for w, b in zip(weight.chunk(3), bias.chunk(3), strict=True))
            for weight, bias in ((cell.weight_ih, cell.bias_ih), (cell.weight_hh, cell.bias_hh))
        )

    def forward(
        self, previous: torch.Tensor, features: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """As the walker's."""
        x = torch.cat([torch.tanh(self.walker.embed(previous)), features], dim=-1)
        reset, update = (torch.sigmoid(self.given[i](x) + self.kept[i](state)) for i in (0, 1))
        new = torch.tanh(self.given[2](x) + reset * self.kept[2](state))
        state = new + update * (state - new)
        return *self.walker.outputs(state), state


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


def vectors_of(both: Both, rows: Rows) -> np.ndarray:
    """The style vector of every piece, float32 (pieces, STYLE_SIZE)."""
    out = []
    with torch.no_grad():
        for a, b in zip(rows.start[:-1], rows.start[1:], strict=True):
            heard = rows.heard[a:b].astype(np.float32)
            heard = heard[heard[:, :GRID_BITS].any(axis=1)]
            out.append(scaled(both.encoder(torch.as_tensor(heard)).numpy().astype(np.float64).mean(axis=0)))
    return np.stack(out)


def named_styles(both: Both, rows: Rows) -> dict[str, list[float]]:
    """The mean vector of each corpus, scaled."""
    vectors, style = vectors_of(both, rows), rows.style[rows.start[:-1]]
    return {
        name: [round(float(v), 4) for v in scaled(vectors[style == i].mean(axis=0))]
        for i, name in enumerate(STYLES)
    }


def style_profiles(pieces: list[Piece]) -> dict[str, np.ndarray]:
    """`interval` (corpora, 24, 41) and `duration` (corpora, 24, 24), float32: the mean of the shares that
    figures have in the corpus's pieces (their first 48 bars).
    """
    shares: dict[str, list[tuple[np.ndarray, ...]]] = {name: [] for name in STYLES}
    for piece in pieces:
        part = shorten(piece)
        interval, duration, _ = part_histograms(part.accompaniment, part.score)
        shares[piece.style].append(tuple(c / max(c.sum(), 1) for c in (interval, duration)))
    return {
        kind: np.stack([np.mean([s[k] for s in shares[name]], axis=0) for name in STYLES]).astype(np.float32)
        for k, kind in enumerate(("interval", "duration"))
    }


def usual_densities(encoded: list[EncodedPiece]) -> dict[str, list[float]]:
    """Notes a unit in bars where anything is played: the 5th and 95th percentile of each corpus' pieces."""
    out = {}
    for i, name in enumerate(STYLES):
        own = [p for p in encoded if p.style == i]
        # The column before the last tells bars in which the accompaniment is silent.
        each = [p.onsets.sum() / max((p.features[:, -2] == 0).sum(), 1) for p in own]
        out[name] = [round(float(v), 3) for v in np.percentile(each, (5, 95))]
    return out


def export_accompaniment(
    fitted: Fitted, pieces: list[Piece], folder: Path, card: dict[str, Any], prose: str
) -> None:
    """Write the walker; the probe is the low hand's pattern."""
    both, data = round_weights(fitted.both, "int8").eval(), fitted.validation
    walker = both.walker
    styles = named_styles(both, fitted.train)
    long_enough = np.flatnonzero(np.diff(data.start) >= _STEPS + 8)
    corpus = data.style[data.start[long_enough]]
    chosen = [
        int(data.start[long_enough[corpus == i % len(STYLES)][i // len(STYLES)]]) for i in range(_EXAMPLES)
    ]
    rows = np.array(chosen)[:, None] + np.arange(_STEPS)
    previous = data.onsets[np.maximum(rows - 1, 0)].astype(np.float32)
    previous[:, 0] = 0
    features = data.features[rows].astype(np.float32)
    vectors = np.array([styles[STYLES[i % len(STYLES)]] for i in range(_EXAMPLES)], np.float32)
    features[:, :, :STYLE_SIZE] = vectors[:, None]
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / _EXTRA,
        low_side=walker.low_side.detach().numpy().astype(np.float16),
        high_side=walker.high_side.detach().numpy().astype(np.float16),
        **style_profiles([p for p in pieces if not p.is_validation]),
    )
    step = _Step(walker)
    # The cell lives on in the products of its gates alone.
    hidden, walker.cell = walker.hidden, None
    export_model(
        step,
        "accompaniment",
        {"previous": (1, GRID_BITS), "features": (1, FEATURES), "state": (1, hidden)},
        ["low", "high", "pair", "velocity", "lengths", "next_state"],
        folder,
        {"previous": previous[:, :, None], "features": features[:, :, None]},
        data.codes[rows][:, :, None, 0],
        {"kind": "cross_entropy", "output": "low"},
        {
            **card,
            "extras": [_EXTRA],
            "styles": styles,
            "notes_a_unit": usual_densities(
                [e for e, p in zip(fitted.encoded, pieces, strict=True) if not p.is_validation]
            ),
            "patterns": {hand: pack_patterns(book) for hand, book in fitted.codebooks.items()},
        },
        prose,
        state={"next_state": "state"},
        weights="int8",
        batch=True,
    )


def export_encoder(fitted: Fitted, folder: Path, card: dict[str, Any], prose: str) -> None:
    """Write the encoder; the probe is the corpus that single units of validation pieces sound like."""
    data = fitted.validation
    heard = data.heard[:, :GRID_BITS].any(axis=1)
    rng = np.random.default_rng(0)
    rows = np.concatenate(
        [rng.permutation(np.flatnonzero(heard & (data.style == i)))[:40] for i in range(len(STYLES))]
    )
    export_model(
        _Encoder(fitted.both),
        "style-encoder",
        {"rows": (1, ROWS)},
        ["style", "corpus"],
        folder,
        {"rows": data.heard[rows].astype(np.float32)[:, None]},
        data.style[rows][:, None],
        {"kind": "cross_entropy", "output": "corpus"},
        card,
        prose,
        weights="int8",
        batch=True,
    )
