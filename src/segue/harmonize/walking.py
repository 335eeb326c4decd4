"""A walking bass: a tone a beat, drawn from what bass players do.

Conventions
-----------
- Tones are pitch classes relative to the root of the chord, 0..11. A *place* is the beat's number within its
  chord, 0..3 (later ones count as 3), plus 4 on the last beat before another chord.
- The probability of a tone is the normalised product of three tables, each to the power of its weight: tones
  by kind of chord and place, approaches to the next root before a change, and steps from the tone before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segue.chords import QUALITIES, Chord
from segue.harmonize import jazz_walking
from segue.harmonize.styles import Pulse, Strike
from segue.harmonize.voicing import Span
from segue.score import TICKS_PER_QUARTER

KINDS = ("major", "dominant", "minor", "diminished")
PLACES = 8
#: Lowest and highest pitch, E1 to G3.
LOWEST, HIGHEST = 28, 55
#: Draws are sharpened, as many of the rare tones in the data are errors of its transcription.
_TEMPERATURE = 0.4
_THIRDS = (3, 4)
#: Tones above the next root from which a bass steps to it: the semitones beside it and the tone above. (The
#: tone below comes less often in the data than a tone drawn by lot.)
_STEPS_TO_ROOT = (11, 1, 2)
#: The first tone's neighbourhood, E2, and how much a bass is drawn back to it.
_START = 40
_GRAVITY = 0.4

#: Tones (kinds, PLACES, 12), approaches (12,), steps (2, 12) and the three weights.
Tables = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
JAZZ: Tables = (
    np.array(jazz_walking.TONES).reshape(len(KINDS), PLACES, 12),
    np.array(jazz_walking.APPROACH),
    np.array(jazz_walking.STEPS),
    np.array(jazz_walking.WEIGHTS),
)


def kind_of(chord: Chord) -> int:
    """The index of the chord's kind in KINDS."""
    intervals = QUALITIES[chord.quality].intervals
    if 3 in intervals and 4 not in intervals:
        return 3 if 6 in intervals and 7 not in intervals else 2
    return 1 if 10 in intervals else 0


def expert_logs(
    tables: Tables, kind: np.ndarray, place: np.ndarray, onward: np.ndarray, before: np.ndarray
) -> np.ndarray:
    """Log probabilities of the three tables, float64, shape (beats, 3, 12), for tones of each beat.

    `onward` is the next root above this one in semitones where the next beat changes the chord, else -1;
    `before` the tone of the beat before, relative to this beat's root, or -1.
    """
    tones, approach, steps, _ = tables
    tone = np.arange(12)
    logs = np.zeros((len(kind), 3, 12))
    logs[:, 0] = np.log(tones[kind, place])
    changes = onward >= 0
    logs[changes, 1] = np.log(approach[(tone - onward[changes, None]) % 12])
    known = before >= 0
    rows = (place[known] % 4 == 0).astype(int)
    logs[known, 2] = np.log(steps[rows[:, None], (tone - before[known, None]) % 12])
    return logs


def log_probabilities(weights: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Log probabilities of the tones, float64, shape (beats, 12), from those of the tables."""
    mixed = np.einsum("w,nwt->nt", weights, logs)
    return mixed - np.logaddexp.reduce(mixed, axis=1, keepdims=True)


def walk(spans: Sequence[Span], pulse: Pulse, seed: int) -> list[Strike]:
    """A bass under the chords, in quarters or in the beats of compound meters; the same seed, the same bass.

    Strong beats of a chord have its tones: it begins with one of them, with its bass where that is given or
    where it has a single beat. On the last beat before another chord there is a tone of the chord or a step
    to the next root. No tone is repeated: in the data a quarter of the beats do, also since the transcription
    holds tones too long. The third of the other mode, which would make a minor chord major, comes only on the
    way to another chord.
    """
    steps = [
        (start, end, span.chord, number, i)
        for i, span in enumerate(spans)
        for number, (start, end) in enumerate(_quarters(span, pulse))
    ]
    draws = np.random.default_rng(seed).random(len(steps))
    bars = set(pulse.bars.tolist())
    strikes: list[Strike] = []
    pitch: int | None = None
    for j, ((start, end, chord, number, i), draw) in enumerate(zip(steps, draws, strict=True)):
        last = j + 1 < len(steps) and steps[j + 1][4] != i
        onward = (steps[j + 1][2].root - chord.root) % 12 if last else -1
        if number == 0 and (pitch is None or last or chord.bass != chord.root):
            tone = (chord.bass - chord.root) % 12
        else:
            before = (pitch - chord.root) % 12
            own = np.isin(np.arange(12), [(p - chord.root) % 12 for p in chord.pitch_classes])
            allowed = playable(own, number, onward)
            allowed[before] &= number == 0
            chances = _chances(kind_of(chord), min(number, 3) + 4 * last, onward, before) * allowed
            tone = int(np.searchsorted(np.cumsum(chances), draw * chances.sum(), "right"))
        pitch = _near((chord.root + tone) % 12, _START if pitch is None else pitch)
        strikes.append((start, end, pitch, start in bars))
    return strikes


def playable(own: np.ndarray, number: int, onward: int) -> np.ndarray:
    """Which tones may be played on beat `number` of a chord with the tones `own`, both bool (12,).

    `onward` as in `expert_logs`.
    """
    if onward >= 0 and number:
        allowed = own | np.isin((np.arange(12) - onward) % 12, _STEPS_TO_ROOT)
    else:
        allowed = own | (number % 2 == 1)
    if onward <= 0:
        for third, other in (_THIRDS, _THIRDS[::-1]):
            allowed[other] &= own[other] or not own[third]
    return allowed


def _chances(kind: int, place: int, onward: int, before: int) -> np.ndarray:
    """The sharpened chances of the tones, not normalised, (12,)."""
    logs = expert_logs(JAZZ, *(np.array([x]) for x in (kind, place, onward, before)))
    return np.exp(np.round(log_probabilities(JAZZ[3], logs)[0] / _TEMPERATURE, 6))


def _near(pitch_class: int, pitch: int) -> int:
    """The pitch of that class in the range that is nearest to `pitch`, drawn a little to the middle."""
    choices = range(LOWEST + (pitch_class - LOWEST) % 12, HIGHEST + 1, 12)
    return min(choices, key=lambda p: abs(p - pitch) + _GRAVITY * abs(p - _START))


def _quarters(span: Span, pulse: Pulse) -> list[tuple[int, int]]:
    """The span in beats; beats of a half note or more are walked in halves."""
    found = []
    for start, end, i in pulse.cut(span):
        middle = (int(pulse.ticks[i]) + int(pulse.ticks[i + 1])) // 2
        whole = pulse.ticks[i + 1] - pulse.ticks[i]
        long = pulse.parts[i] == 2 and whole >= 2 * TICKS_PER_QUARTER
        found += [(start, middle), (middle, end)] if long and start < middle < end else [(start, end)]
    return found
