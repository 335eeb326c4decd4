"""What the model is compared with: the tonic, a small perceptron, a triad template, key profiles."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from segue.harmonize import floors
from segue.harmonize.encoding import MELODY, OTHERS, SLOTS
from training.harmony.batches import ALL_TRACKS, rotate_labels, song_features
from training.harmony.data import Song

Heard = tuple[bool, str | None]


def note_chroma(song: Song, heard: Heard) -> np.ndarray:
    """Sounding pitch classes of every beat, (beats, 12): melody and accompaniment, each as shares."""
    features = song_features(song, *heard)
    return features[:, MELODY].reshape(-1, SLOTS, 12).mean(axis=1) + features[:, OTHERS]


def tonic_everywhere(song: Song) -> np.ndarray:
    """The tonic triad of the true local key, class by beat."""
    return song.key


def triad_template(song: Song, heard: Heard = ALL_TRACKS) -> np.ndarray:
    """The triad that fits what sounds best, class by beat."""
    return floors.triad_template(note_chroma(song, heard))


def key_by_profile(song: Song, heard: Heard) -> int:
    """The key class by the profiles that ingest uses."""
    return floors.key_by_profile(note_chroma(song, heard).sum(axis=0))


class Perceptron:
    """8,869 parameters over chroma of four beats before and after, with the true tonic given.

    The model of METRICS.md's second floor; it is trained for every kind of hearing by itself.
    """

    def __init__(self, songs: list[Song], heard: Heard, epochs: int = 12, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self._heard = heard
        self._net = nn.Sequential(nn.Linear(9 * 12, 66), nn.ReLU(), nn.Linear(66, 25))
        inputs = torch.from_numpy(np.concatenate([self._input(s) for s in songs]))
        labels = torch.from_numpy(np.concatenate([rotate_each(s.chord, s.key) for s in songs]))
        optimizer = torch.optim.Adam(self._net.parameters(), 2e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(labels)).split(512):
                loss = nn.functional.cross_entropy(self._net(inputs[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def _input(self, song: Song) -> np.ndarray:
        chroma = note_chroma(song, self._heard)
        tonic = song.key % 12
        index = (np.arange(12)[None] + tonic[:, None]) % 12
        padded = np.pad(chroma, ((4, 4), (0, 0)))
        around = [np.take_along_axis(padded[i : i + len(song)], index, axis=1) for i in range(9)]
        return np.concatenate(around, axis=1).astype(np.float32)

    def __call__(self, song: Song) -> np.ndarray:
        """Class by beat."""
        with torch.no_grad():
            classes = self._net(torch.from_numpy(self._input(song))).argmax(dim=1).numpy()
        return rotate_each(classes, -song.key)


def rotate_each(classes: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Classes seen from the tonic of each beat's key."""
    return rotate_labels(classes, key % 12)
