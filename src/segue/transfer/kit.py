"""What the drum network hears and says, as arrays.

One row a unit: a beat (see `segue.transfer.grid.beat_grid`) of twelve steps, so that swung eighths and
triplets have places of their own. Drums are nine classes after Gillick et al. (2019).

A *style* is a profile: the square roots of two histograms of a recording (place in the bar by drum, and by
velocity), each normalised. The network is given that, the place in the bar, the tempo, and what the source
does there in
words that fit every style: how busy and how unlike the piece's usual bar it is, toms, crashes, and the
skeleton of kick and back beat, which can be withheld. What the source does is read in sixteenths, swung or
straight alike
(`sixteenths`), for swing belongs to the style.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from segue.metrics.style import drum_histogram, velocity_histogram
from segue.score import make_notes
from segue.transfer.grid import UNIT_STEPS, Grid, in_pairs

#: Styles with at least 100 training bars of beats in four, by two drummers or more.
STYLES = (
    "rock",
    "latin",
    "jazz",
    "funk",
    "afrobeat",
    "afrocuban",
    "hiphop",
    "neworleans",
    "dance",
    "soul",
    "reggae",
    "country",
)
#: Beside them the recordings of jazz whose eighths swing, by themselves.
SWING = "swing"
CLASSES = ("kick", "snare", "closed hat", "open hat", "low tom", "mid tom", "high tom", "crash", "ride")
KICK, SNARE, CRASH = 0, 1, 7
TOMS = slice(4, 7)
#: The General MIDI pitch that each class is written with.
CLASS_PITCH = np.array([36, 38, 42, 46, 43, 47, 50, 49, 51])
#: Steps of a beat in the network's patterns, and ticks of one in beats of a quarter.
BEAT_STEPS = 12
STEP_TICKS = 80
GRID_BITS = BEAT_STEPS * len(CLASSES)
#: Velocity and offset are told for each class in each quarter of the beat.
PERFORMANCE = 2 * UNIT_STEPS * len(CLASSES)
VELOCITY_SCALE = 127.0
#: Loudness is told in eight classes for each quarter of the beat and limb: kick; snare; hats and ride; toms;
#: crash.
LIMB_OF_CLASS = np.array([0, 1, 2, 2, 3, 3, 3, 4, 2])
LIMBS = 5
LOUDNESS_CLASSES = 8
LOUDNESS = UNIT_STEPS * LIMBS * LOUDNESS_CLASSES
#: The quarter of the beat to which each step belongs: a swung eighth (step 8) lies in the last one.
CELL_OF_STEP = np.array([0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3])
#: The sixteenth as which each step is read; 4 is the next beat. First of straight music, then of swung.
_SIXTEENTH = np.array([[0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4], [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4]])
#: Where each step lies in a dotted beat, in its twelfths: four straight sixteenths are played as a shuffle.
_COMPOUND_STEP = np.array([0, 1, 4, 4, 4, 8, 8, 8, 8, 10, 10, 11])

#: Share of swung eighths off the beat from which a style is read as swung.
_SWUNG_SHARE = 0.3

#: Sizes of the two histograms of a profile.
DRUM_BINS, _VELOCITY_BINS = 48 * len(CLASSES), 24 * 8
PROFILE = DRUM_BINS + _VELOCITY_BINS
_SKELETON = 2 * UNIT_STEPS
FEATURES = 4 + 3 + 4 + 1 + 5 + _SKELETON + 1
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
    """Velocity (0..1) and offset of every hit, float32 (units, 12, classes, 2); velocity 0: no hit.

    The offset is in steps, -0.5..0.5, against the step's place. The loudest hit of a cell counts. Only notes
    of the kit may be given.
    """
    out = np.zeros((grid.units, BEAT_STEPS, len(CLASSES), 2), np.float32)
    if len(notes) == 0:
        return out
    notes = notes[np.argsort(notes["velocity"], kind="stable")]
    onset = notes["onset_tick"].astype(np.int64)
    unit = np.clip(np.searchsorted(grid.unit_tick - STEP_TICKS // 2, onset, "right") - 1, 0, grid.units - 1)
    place = (onset - grid.unit_tick[unit]) / _step_ticks(grid)[unit]
    step = np.clip(np.round(place), 0, BEAT_STEPS - 1).astype(np.int64)
    cell = (unit, step, CLASS_OF_PITCH[notes["pitch"]])
    out[..., 0][cell] = notes["velocity"] / VELOCITY_SCALE
    out[..., 1][cell] = np.clip(place - step, -0.5, 0.5)
    return out


def _step_ticks(grid: Grid) -> np.ndarray:
    """Ticks of a step in each unit, (units,)."""
    return np.where(grid.compound, 3 * STEP_TICKS // 2, STEP_TICKS)


def is_swung(hits: np.ndarray) -> bool:
    """Whether more hits (units, 12, classes) lie where swung eighths do (steps 7, 8) than on off-beat
    sixteenths and straight eighths.
    """
    count = (hits > 0).sum(axis=(0, 2))
    return bool(count[[7, 8]].sum() > count[[3, 5, 6, 9]].sum())


def profile_is_swung(profile: np.ndarray) -> bool:
    """Whether what is played in the style is read as swung: three tenths of what lies off the beat (see
    `is_swung`) are swung eighths, as where some of the recordings behind a profile swing.
    """
    count = np.square(profile[:DRUM_BINS]).reshape(-1, BEAT_STEPS, len(CLASSES)).sum(axis=(0, 2))
    swung, straight = count[[7, 8]].sum(), count[[3, 5, 6, 9]].sum()
    return bool(swung > _SWUNG_SHARE * (swung + straight))


def sixteenths(hits: np.ndarray, swung: bool | None = None) -> np.ndarray:
    """Velocities by sixteenth, (units, 4, classes), of velocities by step (units, 12, classes).

    In `swung` music (None: as `is_swung` finds) the late eighth is the third sixteenth, as its player means
    it. A hit at the end of a beat belongs to the next one. The loudest hit counts.
    """
    table = _SIXTEENTH[int(is_swung(hits) if swung is None else swung)]
    out = np.zeros((len(hits) + 1, UNIT_STEPS, hits.shape[2]), hits.dtype)
    for step, place in enumerate(table.tolist()):
        onward, where = divmod(place, UNIT_STEPS)
        there = out[onward : onward + len(hits), where]
        np.maximum(there, hits[:, step], out=there)
    return out[:-1]


def style_profile(notes: np.ndarray, grid: Grid) -> np.ndarray:
    """The style of kit notes as a profile, float32 (PROFILE,); see `profile_of`."""
    return profile_of(histograms(notes, grid))


def histograms(notes: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Counts of place by drum (48, 9) and of place by velocity (24, 8), in the bars of the grid."""
    onset = notes["onset_tick"].astype(np.int64)
    bar = np.clip(np.searchsorted(grid.bar_tick - STEP_TICKS // 2, onset, "right") - 1, 0, grid.bars - 1)
    place = (onset - grid.bar_tick[bar]) / (BEAT_STEPS * STEP_TICKS)
    return drum_histogram(place, CLASS_OF_PITCH[notes["pitch"]]), velocity_histogram(place, notes["velocity"])


def profile_of(counts: Sequence[np.ndarray]) -> np.ndarray:
    """Square roots of the normalised histograms, float32 (PROFILE,); zero where nothing is counted."""
    return np.concatenate([np.sqrt(c.ravel() / max(c.sum(), 1)) for c in counts]).astype(np.float32)


def blend_profiles(parts: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
    """The mixture of profiles with the given weights (their sum is 1), float32 (PROFILE,)."""
    return np.sqrt(sum(weight * np.square(part) for part, weight in parts)).astype(np.float32)


def on_beats(drums: np.ndarray) -> np.ndarray:
    """Counts of place by drum (..., 48 * classes) with what lies a twelfth beside a beat counted on it: how
    exactly a beat is met is no figure.
    """
    places = drums.reshape(*drums.shape[:-1], -1, BEAT_STEPS, len(CLASSES)).copy()
    places[..., 0, :] += places[..., 1, :] + np.roll(places[..., BEAT_STEPS - 1, :], 1, axis=-2)
    places[..., [1, BEAT_STEPS - 1], :] = 0
    return places.reshape(drums.shape)


def pack_profile(profile: np.ndarray) -> str:
    """Base64 text of a profile in half precision."""
    return base64.b64encode(profile.astype("<f2").tobytes()).decode("ascii")


def unpack_profile(text: str) -> np.ndarray:
    """The profile of `pack_profile`, float32 (PROFILE,)."""
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)


def by_cell(hits: np.ndarray) -> np.ndarray:
    """The loudest hit in each quarter of the beat: (units, 4, classes, 2) of (units, 12, classes, 2)."""
    out = np.zeros((len(hits), UNIT_STEPS, *hits.shape[2:]), hits.dtype)
    for cell in range(UNIT_STEPS):
        part = hits[:, cell == CELL_OF_STEP]
        loudest = part[..., 0].argmax(axis=1)[:, None, :, None]
        out[:, cell] = np.take_along_axis(part, loudest, axis=1)[:, 0]
    return out


def loudness_classes(velocity: np.ndarray) -> np.ndarray:
    """Loudness class 0..7 by quarter and limb, int64 (units, 4 * LIMBS), of velocities 0..1 (units, 4,
    classes).

    That of the limb's loudest hit, in steps of 16 of MIDI velocity; -1 where the limb rests.
    """
    out = np.full((len(velocity), UNIT_STEPS, LIMBS), -1)
    for drum, limb in enumerate(LIMB_OF_CLASS):
        hit = velocity[:, :, drum]
        loudness = np.where(hit > 0, np.round(hit * VELOCITY_SCALE).astype(np.int64) // 16, -1)
        out[:, :, limb] = np.maximum(out[:, :, limb], loudness)
    return out.reshape(len(velocity), -1)


def velocities(told: np.ndarray, loudness: np.ndarray) -> np.ndarray:
    """MIDI velocities, int64 (..., 4, classes): those `told` (0..1), brought into their limb's loudness
    class.

    `loudness` (..., 4 * LIMBS); what lies outside its class goes to the middle of it.
    """
    low = loudness.reshape(*loudness.shape[:-1], UNIT_STEPS, LIMBS)[..., LIMB_OF_CLASS] * 16
    velocity = np.round(np.round(told.astype(np.float64), 3) * VELOCITY_SCALE)
    inside = (velocity >= low) & (velocity <= low + 15)
    return np.clip(np.where(inside, velocity, low + 8), 1, 127).astype(np.int64)


def hits_to_notes(hits: np.ndarray, velocity: np.ndarray, offset: np.ndarray, grid: Grid) -> np.ndarray:
    """NOTE array of a drum part: `hits` bool (units, 12, classes), MIDI `velocity` and `offset` in steps
    (units, 4, classes). What lies behind the end of a short beat is left out.
    """
    unit, step, drum = np.nonzero(hits)
    compound = grid.compound[unit]
    place = np.where(compound, _COMPOUND_STEP[step], step) * _step_ticks(grid)[unit]
    cell = (unit, CELL_OF_STEP[step], drum)
    onset = grid.unit_tick[unit] + place + np.round(offset[cell] * STEP_TICKS).astype(np.int64)
    inside = place < np.diff(grid.unit_tick)[unit]
    # Steps that a dotted beat joins are struck once.
    _, first = np.unique(np.stack([unit, place, drum]), axis=1, return_index=True)
    kept = np.zeros(len(unit), bool)
    kept[first] = True
    kept &= inside
    onset = np.maximum(onset[kept], 0)
    return make_notes(onset, np.full(len(onset), 120), CLASS_PITCH[drum[kept]], velocity[cell][kept])


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


def unit_features(hits: np.ndarray, grid: Grid, beats_per_minute: np.ndarray) -> np.ndarray:
    """The network's features beside the style, float32 (units, FEATURES).

    `hits` are the source's velocities by sixteenth (units, 4, classes), `beats_per_minute` (units,) the tempo
    at each unit. The skeleton is given; set `SKELETON_COLUMNS` to zero to withhold it.
    """
    units = grid.units
    rows = np.arange(units)
    struck = hits > 0
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
    out = np.concatenate([position, length, phrase, tempo, source, kick, back, known], axis=1).astype(
        np.float32
    )
    assert out.shape == (units, FEATURES)
    return out
