"""Drum hits on a grid of sixteenths, as the groove network sees and answers them.

Conventions
-----------
- A *step* is a sixteenth; a *slot* is 16 steps, one bar of 4/4; a *window* is two consecutive slots.
- A *cell* is one drum class at one step. Several hits of a class within one cell share it; the loudest
  counts.
- An *offset* is a distance from the grid in steps, in [-0.5, 0.5), positive when late.
- Velocities of cells are in [0, 1] (MIDI velocity / 127).

The nine drum classes follow Gillick, Roberts, Engel, Eck and Bamman, "Learning to Groove with Inverse
Sequence Transformations", ICML 2019; the General MIDI percussion that they do not name joins the class
whose part it plays in a groove.
"""

from __future__ import annotations

import numpy as np

from segue.score import TICKS_PER_QUARTER

STEP_TICKS = TICKS_PER_QUARTER // 4
SLOT_STEPS = 16
WINDOW_STEPS = 2 * SLOT_STEPS

CLASSES = (
    "kick",
    "snare",
    "closed hi-hat",
    "open hi-hat",
    "low tom",
    "mid tom",
    "high tom",
    "crash",
    "ride",
)
CLASS_COUNT = len(CLASSES)
#: Styles that the network takes as a condition, in the order of its inputs: the primary styles of the Groove
#: MIDI Dataset of which it holds at least ten minutes of 4/4 by at least two drummers.
STYLES = (
    "rock",
    "latin",
    "funk",
    "jazz",
    "hiphop",
    "afrobeat",
    "neworleans",
    "afrocuban",
    "dance",
    "soul",
)
#: Inputs of the network for one step: hits, how often the piece has them there, step within the beat, place
#: in the slot, tempo, step length, style.
FEATURES = 2 * CLASS_COUNT + 4 + 2 + 2 + len(STYLES)
#: Columns of the inputs.
PATTERN = slice(CLASS_COUNT, 2 * CLASS_COUNT)
BEAT = slice(PATTERN.stop, PATTERN.stop + 4)
PLACE = slice(BEAT.stop, BEAT.stop + 2)
TEMPO = slice(PLACE.stop, PLACE.stop + 2)
STYLE = slice(TEMPO.stop, FEATURES)

_PITCHES: dict[str, tuple[int, ...]] = {
    "kick": (35, 36),
    # Side stick, clap and the rim of the electronic snare.
    "snare": (37, 38, 39, 40),
    # 22 is the edge of the TD-11's hi-hat; pedal, shaker, maracas, cabasa and tambourine keep the same time.
    "closed hi-hat": (22, 42, 44, 54, 69, 70, 82),
    "open hi-hat": (26, 46),
    # 58 is the rim of the TD-11's floor tom.
    "low tom": (41, 43, 58),
    "mid tom": (45, 47),
    "high tom": (48, 50),
    "crash": (49, 52, 55, 57),
    "ride": (51, 53, 59, 56),
}


def _class_table() -> np.ndarray:
    table = np.full(128, -1, np.int64)
    for i, name in enumerate(CLASSES):
        table[list(_PITCHES[name])] = i
    return table


#: Drum class of each MIDI pitch, int64, shape (128,); -1 where the pitch belongs to none.
CLASS_OF_PITCH = _class_table()


def slot_pattern(hits: np.ndarray) -> np.ndarray:
    """How often each cell is hit, float32, shape (..., 16, 9), over slots `hits` (..., slots, 16, 9).

    Slots without a hit do not count. It tells a network that sees two bars what the whole piece is like, and
    so what in these bars is rare: a fill, a variation.
    """
    hits = np.asarray(hits) > 0
    played = hits.any((-1, -2)).sum(-1)[..., None, None]
    return (hits.sum(-3) / np.maximum(played, 1)).astype(np.float32)


def window_features(
    hits: np.ndarray, bpm: np.ndarray, pattern: np.ndarray, style: np.ndarray | None = None
) -> np.ndarray:
    """Network inputs, float32, shape (windows, 32, FEATURES).

    `hits` is (windows, 32, 9), 1 where a class sounds; `bpm` is (windows,) in quarters a minute; `pattern` is
    (16, 9) or (windows, 16, 9), what `slot_pattern` says of the piece; `style` is (10,) or (windows, 10), how
    much the piece is of each of `STYLES`, not given where nothing is known of it.
    """
    step = np.arange(WINDOW_STEPS)
    features = np.zeros((len(hits), WINDOW_STEPS, FEATURES), np.float32)
    features[:, :, :CLASS_COUNT] = hits > 0
    features[:, :, PATTERN] = np.tile(pattern, (2, 1))
    features[:, step, BEAT.start + step % 4] = 1
    phase = 2 * np.pi * (step % SLOT_STEPS) / SLOT_STEPS
    features[:, :, PLACE] = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    features[:, :, TEMPO] = tempo_features(bpm)[:, None]
    if style is not None:
        features[:, :, STYLE] = np.broadcast_to(style, (len(hits), len(STYLES)))[:, None]
    return features


def tempo_features(bpm: np.ndarray) -> np.ndarray:
    """The tempo inputs, (n, 2), of tempos (n,): octaves around 110, and the length of a step.

    A drummer's deviation in seconds changes less with tempo than its share of a step does.
    """
    bpm = np.clip(np.asarray(bpm, float), 30, 300)
    return np.stack([np.log2(bpm / 110), 15 / bpm / 0.15 - 1], axis=1)


def cells_from_hits(
    steps: np.ndarray, classes: np.ndarray, velocities: np.ndarray, step_count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which hit stands for each cell, and each hit's cell.

    `steps`, `classes` and `velocities` are (n,); returns `chosen`, int64, shape (step_count, 9), the index
    of the loudest hit of each cell (the first of equals) or -1, and `cell`, (n,), the flat index of each
    hit's cell.
    """
    cell = steps * CLASS_COUNT + classes
    order = np.lexsort((-np.arange(len(cell)), velocities, cell))
    chosen = np.full(step_count * CLASS_COUNT, -1, np.int64)
    # The last assignment to a cell wins: the loudest.
    chosen[cell[order]] = order
    return chosen.reshape(step_count, CLASS_COUNT), cell
