"""Points of transfers and their floors in the plane of content and style fit, with a table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from segue.metrics.bootstrap import interval_of_mean
from segue.metrics.style import dominates

KINDS = ("transfer", "identity", "copy", "random")


@dataclass
class Points:
    """Per target style and kind, one row a source piece: content, then one column a measure of fit."""

    measures: tuple[str, ...]
    rows: dict[tuple[str, str], list[list[float]]] = field(default_factory=dict)

    def add(self, style: str, kind: str, content: float, fits: Sequence[float]) -> None:
        """One source piece's point."""
        self.rows.setdefault((style, kind), []).append([content, *fits])

    def summary(self, headline: Sequence[str]) -> dict[str, dict]:
        """By style and kind the means; by style whether identity or copy dominates the transfer.

        Fit is the mean of the measures in `headline`.
        """
        columns = [1 + self.measures.index(name) for name in headline]
        out: dict[str, dict] = {}
        for style in sorted({s for s, _ in self.rows}):
            entry: dict = {}
            for kind in KINDS:
                array = np.array(self.rows[style, kind])
                fit = array[:, columns].mean(axis=1)
                low, high = interval_of_mean(array[:, 0])
                fit_low, fit_high = interval_of_mean(fit)
                entry[kind] = {
                    "content": round(float(array[:, 0].mean()), 3),
                    "content_interval": [round(low, 3), round(high, 3)],
                    "fit": round(float(fit.mean()), 3),
                    "fit_interval": [round(fit_low, 3), round(fit_high, 3)],
                    **{m: round(float(array[:, 1 + i].mean()), 3) for i, m in enumerate(self.measures)},
                }
            point = {kind: (entry[kind]["content"], entry[kind]["fit"]) for kind in KINDS}
            entry["pieces"] = len(self.rows[style, "transfer"])
            entry["dominated_by"] = [
                kind for kind in ("identity", "copy") if dominates(point[kind], point["transfer"])
            ]
            out[style] = entry
        return out


def table(summary: dict[str, dict], measures: Sequence[str]) -> str:
    """The summary as a Markdown table, floors beneath each transfer."""
    lines = [
        "| target style | point | content [95 %] | fit [95 %] | " + " | ".join(measures) + " |",
        "|---|---|---|---|" + "---|" * len(measures),
    ]
    for style, entry in summary.items():
        for kind in KINDS:
            p = entry[kind]
            lines.append(
                f"| {style} | {kind} | {p['content']:.3f} [{p['content_interval'][0]:.3f}, "
                f"{p['content_interval'][1]:.3f}] | {p['fit']:.3f} [{p['fit_interval'][0]:.3f}, "
                f"{p['fit_interval'][1]:.3f}] | " + " | ".join(f"{p[m]:.3f}" for m in measures) + " |"
            )
    return "\n".join(lines)


class Classifier:
    """A softmax regression on profiles (square roots of normalised histograms), unseen by the transfer."""

    def __init__(self, profiles: np.ndarray, styles: np.ndarray, classes: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.mean = profiles.mean(axis=0)
        self.linear = torch.nn.Linear(profiles.shape[1], classes)
        x = torch.as_tensor(profiles - self.mean, dtype=torch.float32)
        y = torch.as_tensor(styles)
        weight = torch.as_tensor(
            1 / np.maximum(np.bincount(styles, minlength=classes), 1), dtype=torch.float32
        )
        optimiser = torch.optim.Adam(self.linear.parameters(), lr=0.05, weight_decay=1e-4)
        for _ in range(200):
            loss = torch.nn.functional.cross_entropy(self.linear(x), y, weight=weight)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def probabilities(self, profiles: np.ndarray) -> np.ndarray:
        """Probability of each style, (pieces, classes)."""
        with torch.no_grad():
            x = torch.as_tensor(profiles - self.mean, dtype=torch.float32)
            return self.linear(x).softmax(dim=1).numpy()


def profile(*histograms: np.ndarray) -> np.ndarray:
    """One vector: the square roots of the normalised histograms, one after the other."""
    return np.concatenate([np.sqrt(h.ravel() / max(h.sum(), 1)) for h in histograms])


def unigram_nats(
    train_codes: np.ndarray, train_style: np.ndarray, codes: np.ndarray, style: np.ndarray
) -> float:
    """Nats a pattern of the floor: each style's own pattern frequencies (add one half), given the style."""
    total, count = 0.0, 0
    for s in np.unique(style):
        for column in range(codes.shape[1]):
            seen = train_codes[train_style == s, column]
            asked = codes[style == s, column]
            asked = asked[asked >= 0]
            size = int(max(train_codes[:, column].max(), codes[:, column].max())) + 1
            frequency = np.bincount(seen[seen >= 0], minlength=size) + 0.5
            total -= float(np.log(frequency / frequency.sum())[asked].sum())
            count += len(asked)
    return total / count
