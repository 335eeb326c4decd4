"""Metrics of chords and keys: against a reference, and of chords under a melody without one.

Conventions
-----------
- Chords are `segue.chords.Chord`; a *chord sequence* has one chord a grid cell (a beat, unless said
  otherwise), repeated while it lasts. No chord is a label of its own in histograms; pairs and notes with no
  chord are left out of distances and scores.
- Class arrays hold majmin classes (0..11 major, 12..23 minor, 24 no chord, -1 not counted).
- A melody is given by `onset` and `duration` in beats, shape (n,), ascending onsets, and MIDI `pitch`.
  The chord of cell i holds from beat i to beat i + 1 (`cell` beats, where another grid is used).
- A figure without anything to count is NaN.

Metrics
-------
- Chord accuracy: share of beats with the reference's class, after the reduction of `mir_eval.chord.majmin`.
- Sevenths and inversions: `mir_eval.chord.sevenths`, `majmin_inv` and `sevenths_inv` over beats.
- Key: `mir_eval.key.weighted_score` and plain accuracy, over pieces or, where keys change, over beats.
- CHE, CC, CTD, CTnCTR, PCS, MCTD: Yeh et al. (2021), "Automatic melody harmonization with triad chords: a
  comparative study", Journal of New Music Research 50(1). The tonal centroid is that of Harte, Sandler and
  Gasser (2006), "Detecting harmonic change in musical audio".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segue.chords import Chord, note_name, pitch_class_mask

_ANGLES = np.array([7 * np.pi / 6, 3 * np.pi / 2, 2 * np.pi / 3])
_RADII = np.array([1.0, 1.0, 0.5])
#: Consonance by the interval from a chord tone up to the melody note, semitones mod 12.
_CONSONANCE = np.array([1, -1, -1, 1, 1, 0, -1, 1, 1, 1, -1, -1], float)


def class_accuracy(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Share of the counted beats with the same majmin class; beats with reference -1 are not counted."""
    counted = reference >= 0
    return float((reference == estimate)[counted].mean()) if counted.any() else float("nan")


def negative_log_likelihood(reference: np.ndarray, log_probability: np.ndarray) -> float:
    """Mean of -log p(reference) in nats; `log_probability` (beats, classes), reference -1 not counted."""
    counted = np.flatnonzero(reference >= 0)
    return float(-log_probability[counted, reference[counted]].mean()) if len(counted) else float("nan")


def reduced_scores(reference: Sequence[str], estimate: Sequence[str], reduction: str) -> np.ndarray:
    """`mir_eval.chord`'s comparison of Harte labels, shape (n,): 1 or 0, and -1 where it does not count.

    `reduction` is "majmin", "sevenths", "majmin_inv" or "sevenths_inv". A label "X" counts as unknown.
    """
    import mir_eval

    if not len(reference):
        return np.zeros(0)
    # Pieces repeat few pairs of chords, and reading a label takes longer than comparing it.
    pairs = list(zip(reference, estimate, strict=True))
    distinct = sorted(set(pairs))
    scores = getattr(mir_eval.chord, reduction)(*map(list, zip(*distinct, strict=True)))
    of_pair = dict(zip(distinct, scores.tolist(), strict=True))
    return np.array([of_pair[pair] for pair in pairs], float)


def reduced_accuracy(reference: Sequence[str], estimate: Sequence[str], reduction: str) -> tuple[float, int]:
    """The mean of `reduced_scores` over what counts, and how much that is."""
    scores = reduced_scores(reference, estimate, reduction)
    counted = scores[scores >= 0]
    return (float(counted.mean()) if len(counted) else float("nan")), len(counted)


def key_label(key: int) -> str:
    """The name that mir_eval uses for a key class: 0..11 major, 12..23 minor."""
    return f"{note_name(key % 12)} {'minor' if key >= 12 else 'major'}"


def key_scores(reference: Sequence[int], estimate: Sequence[int]) -> tuple[float, float]:
    """Mean weighted score of mir_eval.key, and the share of equal keys (key classes 0..23).

    Over pieces, one key each, or over beats, where the keys are local. What has reference -1 is not counted.
    """
    import mir_eval

    reference, estimate = np.asarray(reference, int), np.asarray(estimate, int)
    counted = reference >= 0
    if not counted.any():
        return float("nan"), float("nan")
    pairs, count = np.unique(np.stack([reference[counted], estimate[counted]]), axis=1, return_counts=True)
    weighted = [mir_eval.key.weighted_score(key_label(a), key_label(b)) for a, b in pairs.T.tolist()]
    return float(np.average(weighted, weights=count)), float(np.average(pairs[0] == pairs[1], weights=count))


def tonal_centroid(chroma: np.ndarray) -> np.ndarray:
    """Tonal centroid, shape (..., 6), of chroma vectors (..., 12): sines and cosines of the three circles."""
    pitch = np.arange(12)
    basis = np.stack(
        [f(pitch * a) * r for a, r in zip(_ANGLES, _RADII, strict=True) for f in (np.sin, np.cos)]
    )
    total = np.abs(chroma).sum(axis=-1, keepdims=True)
    return chroma @ basis.T / np.maximum(total, 1e-12)


def chord_histogram_entropy(chords: Sequence[Chord]) -> float:
    """CHE: entropy in nats of the histogram of the chords of a sequence."""
    _, counts = np.unique([c.harte() for c in chords], return_counts=True)
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum()) if len(share) else float("nan")


def chord_coverage(chords: Sequence[Chord]) -> int:
    """CC: number of different chords."""
    return len(set(chords))


def chord_tonal_distance(chords: Sequence[Chord]) -> float:
    """CTD: mean distance of the tonal centroids of adjacent chords of the sequence."""
    if not len(chords):
        return float("nan")
    centroid = tonal_centroid(np.stack([pitch_class_mask(c) for c in chords]).astype(float))
    sounding = np.array([c.is_chord for c in chords])
    pairs = sounding[1:] & sounding[:-1]
    distance = np.linalg.norm(np.diff(centroid, axis=0), axis=1)[pairs]
    return float(distance.mean()) if len(distance) else float("nan")


def chord_tone_ratio(
    onset: np.ndarray, pitch: np.ndarray, chords: Sequence[Chord], cell: float = 1.0
) -> float:
    """CTnCTR: (n_c + n_p) / (n_c + n_n).

    n_c counts the notes that are chord tones where they begin, n_n all others, n_p those among them that the
    next note of another pitch resolves: at most two semitones away, and a tone of the chord that holds there.
    """
    mask = _masks(chords)
    index = np.floor(np.asarray(onset) / cell).astype(int)
    pitch = np.asarray(pitch).astype(int)
    inside = (index >= 0) & (index < len(chords))
    index = np.where(inside, index, 0)
    has_chord = inside & mask.any(axis=1)[index]
    is_tone = mask[index, pitch % 12] & inside
    following = _next_different(pitch)
    resolves = np.zeros(len(pitch), bool)
    known = np.flatnonzero(following >= 0)
    target = following[known]
    resolves[known] = (np.abs(pitch[target] - pitch[known]) <= 2) & is_tone[target]
    tones = int((has_chord & is_tone).sum())
    foreign = has_chord & ~is_tone
    total = tones + int(foreign.sum())
    return (tones + int((foreign & resolves).sum())) / total if total else float("nan")


def _next_different(pitch: np.ndarray) -> np.ndarray:
    """Index of the next note of another pitch, -1 where none follows."""
    following = np.full(len(pitch), -1)
    for i in range(len(pitch) - 2, -1, -1):
        following[i] = i + 1 if pitch[i + 1] != pitch[i] else following[i + 1]
    return following


def consonance_with(mask: np.ndarray) -> np.ndarray:
    """Mean consonance of each melody pitch class with a chord's tones, both (..., 12); `mask` is bool."""
    interval = (np.arange(12)[:, None] - np.arange(12)[None, :]) % 12
    return mask @ _CONSONANCE[interval].T / np.maximum(mask.sum(axis=-1, keepdims=True), 1)


def pitch_consonance_score(
    onset: np.ndarray, duration: np.ndarray, pitch: np.ndarray, chords: Sequence[Chord], cell: float = 1.0
) -> float:
    """PCS: consonance of the melody with the tones of its chord, in [-1, 1], weighted by duration.

    A melody note counts as lying above the chord: unison, thirds, fifth and sixths 1, fourth 0, others -1.
    """
    mask = _masks(chords)
    return _weighted(consonance_with(mask), onset, duration, pitch, mask, cell)


def melody_chord_tonal_distance(
    onset: np.ndarray, duration: np.ndarray, pitch: np.ndarray, chords: Sequence[Chord], cell: float = 1.0
) -> float:
    """MCTD: distance of the tonal centroids of melody note and chord, weighted by duration."""
    mask = _masks(chords)
    notes, centroids = tonal_centroid(np.eye(12)), tonal_centroid(mask.astype(float))
    distance = np.linalg.norm(centroids[:, None] - notes[None], axis=2)
    return _weighted(distance, onset, duration, pitch, mask, cell)


def notes_by_beat(notes: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """A NOTE array as `quality` takes it, shape (3, n): onset and duration in beats, and pitch.

    `ticks` (beats + 1,) are the boundaries of the beats. By onset, of notes at one onset the highest first.
    """
    notes = notes[np.lexsort((-notes["pitch"].astype(int), notes["onset_tick"]))]
    start = notes["onset_tick"].astype(np.int64)
    onset, end = (np.interp(t, ticks, np.arange(len(ticks))) for t in (start, start + notes["duration_tick"]))
    return np.stack([onset, end - onset, notes["pitch"]])


def quality(
    onset: np.ndarray, duration: np.ndarray, pitch: np.ndarray, chords: Sequence[Chord]
) -> dict[str, float]:
    """All six figures of chords, one a beat, under one piece's melody."""
    return {
        "CHE": chord_histogram_entropy(chords),
        "CC": float(chord_coverage(chords)),
        "CTD": chord_tonal_distance(chords),
        "CTnCTR": chord_tone_ratio(onset, pitch, chords),
        "PCS": pitch_consonance_score(onset, duration, pitch, chords),
        "MCTD": melody_chord_tonal_distance(onset, duration, pitch, chords),
    }


def mean_quality(pieces: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure of `quality` over the pieces that have it; NaN where none has."""
    known = {name: [row[name] for row in pieces if np.isfinite(row[name])] for name in pieces[0]}
    return {name: float(np.mean(values)) if values else float("nan") for name, values in known.items()}


def _masks(chords: Sequence[Chord]) -> np.ndarray:
    return np.stack([pitch_class_mask(c) for c in chords]) if len(chords) else np.zeros((1, 12), bool)


def _weighted(
    score: np.ndarray,
    onset: np.ndarray,
    duration: np.ndarray,
    pitch: np.ndarray,
    mask: np.ndarray,
    cell: float,
) -> float:
    """Mean of score[cell, pitch class] over the time in which melody and a chord sound together."""
    onset = np.asarray(onset, float)
    boundaries = np.arange(len(mask) + 1) * cell
    end = onset + np.asarray(duration, float)
    overlap = np.minimum(end[:, None], boundaries[1:]) - np.maximum(onset[:, None], boundaries[:-1])
    weight = np.maximum(overlap, 0) * mask.any(axis=1)
    total = weight.sum()
    value = score[:, np.asarray(pitch).astype(int) % 12].T
    return float((weight * value).sum() / total) if total > 0 else float("nan")
