"""The key of a piece from its notes.

Convention: a pitch-class profile weighted by duration, over all pitched tracks, is compared with the 24
rotated key profiles of Albrecht and Shanahan, "The Use of Large Corpora to Train a New Type of Key-Finding
Algorithm", Music Perception 31(1), 2013, by Euclidean distance, as they do; both are normalised to a sum of
1. A key signature in the file decides between a major key and its relative minor when the two are close,
since the two share their notes and a notation program writes the mode that the composer chose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.score import KeySignature, Score

_MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
_MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
#: Relative keys whose distances differ by less than this share count as a tie.
_TIE = 0.1


def _rotated_profiles() -> np.ndarray:
    both = [np.array(profile) / sum(profile) for profile in (_MAJOR, _MINOR)]
    return np.stack([np.roll(profile, tonic) for profile in both for tonic in range(12)])


#: Profiles of the 24 keys, shape (24, 12): major from C up, then minor.
KEY_PROFILES = _rotated_profiles()


@dataclass(frozen=True)
class Key:
    """A key: `tonic` is a pitch class (0 is C), `mode` "major" or "minor"."""

    tonic: int
    mode: str

    @property
    def name(self) -> str:
        """For example "Eb major"."""
        names = _MAJOR_NAMES if self.mode == "major" else _MINOR_NAMES
        return f"{names[self.tonic]} {self.mode}"

    @property
    def relative(self) -> Key:
        """The key of the other mode with the same signature."""
        if self.mode == "major":
            return Key((self.tonic + 9) % 12, "minor")
        return Key((self.tonic + 3) % 12, "major")


def key_of_signature(signature: KeySignature) -> Key:
    """The key that a key signature names."""
    tonic = signature.sharps * 7 % 12
    return Key((tonic + 9) % 12, "minor") if signature.is_minor else Key(tonic, "major")


def signature_of(key: Key, tick: int) -> KeySignature:
    """The key signature of a key, with the tonic spelt as in its name: the opposite of `key_of_signature`."""
    major = key.tonic if key.mode == "major" else key.relative.tonic
    # Gb major and D# minor are written as F# major and Eb minor.
    flattest = -5 if key.mode == "major" else -6
    return KeySignature(tick, (major * 7 - flattest) % 12 + flattest, key.mode == "minor")


def key_of_class(index: int) -> Key:
    """The key of a key class: 0..11 major from C up, 12..23 minor."""
    return Key(index % 12, "major" if index < 12 else "minor")


def pitch_class_profile(score: Score) -> np.ndarray:
    """Share of sounding time of each pitch class in all pitched tracks, shape (12,); zeros without notes."""
    profile = np.zeros(12)
    for track in score.tracks:
        if len(track.notes) and not track.is_drum:
            weights = track.notes["duration_tick"].astype(float)
            profile += np.bincount(track.notes["pitch"] % 12, weights, 12)
    total = profile.sum()
    return profile / total if total > 0 else profile


def find_key(score: Score) -> Key | None:
    """The key of the piece, or None for a piece without pitched notes."""
    profile = pitch_class_profile(score)
    if not profile.any():
        return None
    distance = np.linalg.norm(KEY_PROFILES - profile, axis=1)
    best = int(distance.argmin())
    found = key_of_class(best)
    written = {key_of_signature(signature) for signature in score.keys}
    relative = found.relative
    tie = distance[class_of_key(relative)] <= distance[best] * (1 + _TIE)
    if relative in written and found not in written and tie:
        return relative
    return found


def class_of_key(key: Key) -> int:
    """The key class of a key: the opposite of `key_of_class`."""
    return key.tonic + (0 if key.mode == "major" else 12)
