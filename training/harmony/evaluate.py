"""Figures of the model on validation songs, and the floors beside them."""

from __future__ import annotations

import numpy as np
import torch

from segue.harmonize.decode import Hearing, hearing_of
from segue.harmonize.encoding import cut_windows, join_windows, rotate_features, scale_of
from segue.metrics.harmony import class_accuracy, negative_log_likelihood
from training.harmony.batches import ALL_TRACKS, MELODY_ALONE, song_features
from training.harmony.data import Song
from training.harmony.network import OUTPUTS, HarmonyNetwork


def heard_by(network: HarmonyNetwork, song: Song, heard: tuple[bool, str | None]) -> Hearing:
    """What the network says of a song, exactly as the stage asks it."""
    features = song_features(song, *heard)
    scale = scale_of(features)
    windows = torch.from_numpy(cut_windows(rotate_features(features, scale)))
    with torch.no_grad():
        outputs = [o.numpy() for o in network(windows)]
    joined = {n: join_windows(o, len(song)) for n, o in zip(OUTPUTS, outputs, strict=True)}
    return hearing_of(joined, scale)


def true_key(song: Song) -> int:
    """The key that holds for most of the song."""
    return int(np.bincount(song.key).argmax())


def quick_figures(network: HarmonyNetwork, songs: list[Song]) -> str:
    """Accuracy, NLL and key of melody alone and of all tracks, before decoding, in one line."""
    network.eval()
    parts = []
    for name, heard in (("melody", MELODY_ALONE), ("all", ALL_TRACKS)):
        hearings = [heard_by(network, song, heard) for song in songs]
        chord = np.concatenate([h.chord for h in hearings])
        strict = np.concatenate([s.strict for s in songs])
        key = np.mean([h.key.argmax() == true_key(s) for h, s in zip(hearings, songs, strict=True)])
        parts.append(
            f"{name} {100 * class_accuracy(strict, chord.argmax(axis=1)):.2f} % "
            f"NLL {negative_log_likelihood(strict, chord):.3f} key {100 * key:.1f} %"
        )
    return " | ".join(parts)
