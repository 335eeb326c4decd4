"""The vocabulary of a network: patterns of one unit, each a set of (step, slot) onsets.

The network names one pattern per unit; the patterns are medoids of the training data, that is, units that
musicians really played. They are kept in the model's card as one string, most significant bit first.
"""

from __future__ import annotations

import base64
from functools import lru_cache

import numpy as np

#: Patterns this many nats (before temperature) behind the most likely one are never drawn.
_UNLIKELY = 3.5
#: Logits are rounded to this many decimals, so that ONNX and TFLite decide alike.
DECIMALS = 3


def pack_patterns(patterns: np.ndarray) -> str:
    """Base64 text of boolean patterns, shape (patterns, bits); every pattern begins on a new byte."""
    return base64.b64encode(np.packbits(patterns.astype(bool), axis=1).tobytes()).decode("ascii")


@lru_cache(maxsize=8)
def unpack_patterns(text: str, bits: int) -> np.ndarray:
    """Boolean patterns (patterns, bits) from the text of `pack_patterns`; read only, as they are unpacked
    once for all that ask.
    """
    packed = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, (bits + 7) // 8)
    patterns = np.unpackbits(packed, axis=1)[:, :bits].astype(bool)
    patterns.setflags(write=False)
    return patterns


def pattern_distance(patterns: np.ndarray, codebook: np.ndarray, steps: int = 4) -> np.ndarray:
    """Distance in 0..1 between patterns (n, steps * slots) and a codebook (k, steps * slots): (n, k).

    The mean of the Jaccard distance of the onsets and that of the rhythm (steps with any onset), so that a
    pattern with the right rhythm and a wrong note is nearer than the reverse. Two empty patterns are equal.
    """
    rhythm = patterns.reshape(len(patterns), steps, -1).any(axis=2)
    code_rhythm = codebook.reshape(len(codebook), steps, -1).any(axis=2)
    return 0.5 * (_jaccard_distance(patterns, codebook) + _jaccard_distance(rhythm, code_rhythm))


def _jaccard_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    x, y = a.astype(np.float32), b.astype(np.float32)
    both = x @ y.T
    either = x.sum(axis=1)[:, None] + y.sum(axis=1)[None, :] - both
    return np.where(either > 0, 1 - both / np.maximum(either, 1), 0).astype(np.float32)


def nearest_patterns(patterns: np.ndarray, codebook: np.ndarray, steps: int = 4) -> np.ndarray:
    """Index of the nearest pattern of the codebook for each pattern (n, bits): int64 (n,).

    An empty pattern is always pattern 0, and a pattern with onsets never is.
    """
    unique, inverse = np.unique(np.packbits(patterns, axis=1), axis=0, return_inverse=True)
    rows = np.unpackbits(unique, axis=1)[:, : patterns.shape[1]].astype(bool)
    codes = np.zeros(len(rows), np.int64)
    for at in range(0, len(rows), 4096):
        part = rows[at : at + 4096]
        codes[at : at + 4096] = pattern_distance(part, codebook[1:], steps).argmin(axis=1) + 1
    codes[~rows.any(axis=1)] = 0
    return codes[inverse.ravel()]


def draw(logits: np.ndarray, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """One class for each row of logits (..., classes): int64 (...). Temperature 0 takes the most likely
    one.
    """
    logits = np.round(logits, DECIMALS)
    if temperature == 0:
        return logits.argmax(axis=-1)
    # The largest of logits plus scaled Gumbel noise is a draw from the softmax at that temperature.
    likely = logits > logits.max(axis=-1, keepdims=True) - _UNLIKELY
    return np.where(likely, logits + temperature * rng.gumbel(size=logits.shape), -np.inf).argmax(axis=-1)
