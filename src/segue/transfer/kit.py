"""What the drum network hears and says, as arrays.

One row a unit: a beat of four steps (see `segue.transfer.grid.beat_grid`). Drums are nine classes after
Gillick et al. (2019). The network is given the style, the place in the bar, the tempo, and what the source
does there in words that fit every style: how busy and how unlike the piece's usual bar it is, toms, crashes,
and the skeleton of kick and back beat, which can be withheld.
"""

from __future__ import annotations

import numpy as np

from segue.score import make_notes
from segue.transfer.grid import UNIT_STEPS, Grid, in_pairs

STYLES = ("rock", "funk", "jazz", "latin", "hiphop", "afrobeat")
CLASSES = ("kick", "snare", "closed hat", "open hat", "low tom", "mid tom", "high tom", "crash", "ride")
KICK, SNARE, CRASH = 0, 1, 7
TOMS = slice(4, 7)
#: The General MIDI pitch that each class is written with.
CLASS_PITCH = np.array([36, 38, 42, 46, 43, 47, 50, 49, 51])
GRID_BITS = UNIT_STEPS * len(CLASSES)
#: Velocity and offset for each step and class.
PERFORMANCE = 2 * GRID_BITS
VELOCITY_SCALE = 127.0
#: Loudness is told in eight classes for each step and limb: kick; snare; hats and ride; toms; crash.
LIMB_OF_CLASS = np.array([0, 1, 2, 2, 3, 3, 3, 4, 2])
LIMBS = 5
LOUDNESS_CLASSES = 8
LOUDNESS = UNIT_STEPS * LIMBS * LOUDNESS_CLASSES

_SKELETON = 2 * UNIT_STEPS
FEATURES = len(STYLES) + 4 + 3 + 4 + 1 + 5 + _SKELETON + 1
#: Columns of the skeleton with its flag, the last ones.
SKELETON_COLUMNS = slice(FEATURES - _SKELETON - 1, FEATURES)

_PITCHES = (
    (35, 36),
    (37, 38, 39, 40),
    (22, 42, 44),
    (26, 46),
    (41, 43, 58),
    (45, 47),
    (48, 50),
    (49, 52, 55, 57),
    (51, 53, 59),
)


def _class_of_pitch() -> np.ndarray:
    table = np.full(128, -1)
    for index, pitches in enumerate(_PITCHES):
        table[list(pitches)] = index
    return table


#: Class of each MIDI pitch on the percussion channel, -1 for what is not of the kit (tambourine, congas,
#: ...).
CLASS_OF_PITCH = _class_of_pitch()


def hit_grid(notes: np.ndarray, grid: Grid) -> np.ndarray:
    """Velocity (0..1) and offset of every hit, float32 (units, 4, classes, 2); velocity 0: no hit.

    The offset is in steps, -0.5..0.5, against the step's place. The loudest hit of a cell counts. Only notes
    of the kit may be given.
    """
    out = np.zeros((grid.units, UNIT_STEPS, len(CLASSES), 2), np.float32)
    if len(notes) == 0:
        return out
    notes = notes[np.argsort(notes["velocity"], kind="stable")]
    step = grid.nearest_step(notes["onset_tick"])
    late = notes["onset_tick"] - grid.step_tick[step]
    cell = (grid.step_unit[step], grid.step_in_unit[step], CLASS_OF_PITCH[notes["pitch"]])
    out[..., 0][cell] = notes["velocity"] / VELOCITY_SCALE
    out[..., 1][cell] = np.clip(late / 240.0, -0.5, 0.5)
    return out


def loudness_classes(velocity: np.ndarray) -> np.ndarray:
    """Loudness class 0..7 by step and limb, int64 (units, 4 * LIMBS), of velocities 0..1 (units, 4, classes).

    That of the limb's loudest hit, in steps of 16 of MIDI velocity; -1 where the limb rests.
    """
    out = np.full((len(velocity), UNIT_STEPS, LIMBS), -1)
    for drum, limb in enumerate(LIMB_OF_CLASS):
        hit = velocity[:, :, drum]
        loudness = np.where(hit > 0, np.round(hit * VELOCITY_SCALE).astype(np.int64) // 16, -1)
        out[:, :, limb] = np.maximum(out[:, :, limb], loudness)
    return out.reshape(len(velocity), -1)


def velocities(told: np.ndarray, loudness: np.ndarray) -> np.ndarray:
    """Velocities 0..1 (units, 4, classes): those `told` for each hit, brought into its limb's loudness class.

    `loudness` (units, 4 * LIMBS); what lies outside its class goes to the middle of it.
    """
    low = loudness.reshape(-1, UNIT_STEPS, LIMBS)[:, :, LIMB_OF_CLASS] * 16.0
    velocity = told * VELOCITY_SCALE
    inside = (velocity >= low) & (velocity <= low + 15)
    return np.where(inside, velocity, low + 8) / VELOCITY_SCALE


def hits_to_notes(hits: np.ndarray, velocity: np.ndarray, offset: np.ndarray, grid: Grid) -> np.ndarray:
    """NOTE array of a drum part: `hits` bool, `velocity` 0..1, `offset` in steps; (units, 4, classes)."""
    table = grid.table()
    unit, place, drum = np.nonzero(hits & (table >= 0)[:, :, None])
    cell = (unit, place, drum)
    onset = grid.step_tick[table[unit, place]] + np.round(offset[cell] * 240).astype(np.int64)
    loud = np.clip(np.round(velocity[cell] * VELOCITY_SCALE), 1, 127)
    return make_notes(np.maximum(onset, 0), np.full(len(onset), 120), CLASS_PITCH[drum], loud)


def usual_pattern(hits: np.ndarray, grid: Grid) -> np.ndarray:
    """What the piece usually plays at each unit of a bar, float (units, 4, classes): the mean over the bars
    of the same length that sound, by unit.
    """
    out = np.zeros(hits.shape, np.float32)
    key = grid.bar_units * 64 + grid.unit_in_bar
    sounding = hits.any(axis=(1, 2))
    for value in np.unique(key):
        rows = key == value
        heard = rows & sounding
        if heard.any():
            out[rows] = hits[heard].mean(axis=0)
    return out


def unit_features(hits: np.ndarray, grid: Grid, style: str, beats_per_minute: np.ndarray) -> np.ndarray:
    """The network's features, float32 (units, FEATURES), for the source's velocities (units, 4, classes).

    `beats_per_minute` (units,) is the tempo at each unit. The skeleton is given; set `SKELETON_COLUMNS` to
    zero to withhold it.
    """
    units = grid.units
    rows = np.arange(units)
    struck = hits > 0
    style_part = np.zeros((units, len(STYLES)), np.float32)
    style_part[:, STYLES.index(style)] = 1
    position = np.zeros((units, 4), np.float32)
    place, size, bar = in_pairs(grid)
    position[rows, place % 4] = 1
    length = np.zeros((units, 3), np.float32)
    length[rows, np.where(size == 4, 0, np.where(size == 3, 1, 2))] = 1
    phrase = np.zeros((units, 4), np.float32)
    phrase[rows, bar % 4] = 1
    tempo = np.log2(beats_per_minute / 110.0).astype(np.float32)[:, None]

    count = struck.sum(axis=(1, 2)).astype(np.float64)
    sounding = count > 0
    spread = max(count[sounding].std(), 0.7) if sounding.any() else 1.0
    mean = count[sounding].mean() if sounding.any() else 0.0
    density = np.where(sounding, np.clip((count - mean) / spread, -2.5, 2.5) / 2, 0)
    usual = usual_pattern(struck, grid)
    unlike = np.abs(struck - usual).sum(axis=(1, 2)) / np.maximum((struck + usual).sum(axis=(1, 2)), 1)
    toms = struck[:, :, TOMS].sum(axis=(1, 2)) / np.maximum(count, 1)
    crash = struck[:, 0, CRASH]
    source = np.stack([density, unlike, toms, crash, ~sounding], axis=1)

    strong = hits >= 0.45
    kick = struck[:, :, KICK]
    back = strong[:, :, SNARE]
    known = np.ones((units, 1))
    out = np.concatenate(
        [style_part, position, length, phrase, tempo, source, kick, back, known], axis=1
    ).astype(np.float32)
    assert out.shape == (units, FEATURES)
    return out
