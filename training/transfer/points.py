"""Classifiers of styles that the transfer never saw, and floors of a network."""

from __future__ import annotations

import numpy as np
import torch


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
