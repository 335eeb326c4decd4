"""The weight of chords: new notes keep to them, whatever they are, and more so with more weight."""

import numpy as np
import pytest
from test_complete import TWINKLE, Q, line, piece, run
from test_complete_modes import marked

from segue.complete.encoding import CHORD_QUALITIES, PITCH_TOKENS, REST, Chords, Setting, events_from_notes
from segue.complete.sampler import Place, Taste, write
from segue.runtime import load_model

TRIADS = {"maj": (0, 4, 7), "min": (0, 3, 7), "dom": (0, 4, 7, 10)}
#: A progression that is far from C major: chords of E major over it.
FOREIGN = [(4, "maj"), (9, "maj"), (11, "dom"), (4, "maj")]


def place(chords):
    """Four bars of a tune in C major, and four more to be written."""
    steps = [0, 2, 4, 0, 4, 5, 7, 7, 9, 7, 5, 4, 2, 2, 0, 0]
    onset = 12 * np.arange(16)
    setting = Setting(60, False, (4, 4), None, 0, chords)
    past = events_from_notes(onset, np.full(16, 12), np.array(steps) + 60, setting)
    return Place(setting, past, 192, 384)


def foreign():
    qualities = [CHORD_QUALITIES.index(q) for _, q in FOREIGN]
    return Chords(tuple(192 + 48 * k for k in range(4)), tuple(r for r, _ in FOREIGN), tuple(qualities), 384)


def share_in_chord(written):
    """Share of the notes' pitches that belong to the foreign chord under them."""
    hits = []
    for start, token, _ in (event for one in written for event in one.events):
        if token != REST:
            root, quality = FOREIGN[(start - 192) // 48]
            hits.append((60 + token - 24 - root) % 12 in TRIADS[quality])
    return np.mean(hits)


def written(backend, chords, weight, voices=12):
    taste = Taste(1.0, 0.95, np.ones(PITCH_TOKENS, bool), 24, weight)
    rngs = [np.random.default_rng(seed) for seed in range(voices)]
    return write(load_model("melody", backend), place(chords), taste, rngs)


def test_new_notes_follow_foreign_chords_the_more_they_weigh():
    without, plain, heavy = (
        share_in_chord(written("onnx", chords, weight))
        for chords, weight in ((None, 0), (foreign(), 0), (foreign(), 1.5))
    )
    assert without < plain < heavy
    assert heavy > 0.6


def test_without_chords_their_weight_is_nothing():
    assert written("onnx", None, 2.0) == written("onnx", None, 0.0)


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_both_backends_write_the_same(weight):
    onnx, tflite = (written(backend, foreign(), weight, 4) for backend in ("onnx", "tflite"))
    assert [w.events for w in onnx] == [w.events for w in tflite]


def test_the_stage_keeps_to_the_chords_of_a_region_as_closely_as_it_is_told():
    region = marked(piece(line(TWINKLE))[0], (16 * Q, "segue:infill"), (32 * Q, "segue:end"))
    record = {**piece(line(TWINKLE))[1], "chords": [{"tick": 16 * Q, "label": "Ab"}]}
    shares = []
    for weight in (0, 3):
        result = run(region, record, mode="infill", draws=1, chord_weight=weight)
        notes = result.score.tracks[0].notes
        new = notes[(notes["onset_tick"] >= 16 * Q) & (notes["onset_tick"] < 32 * Q)]
        shares.append(np.isin(new["pitch"] % 12, (8, 0, 3)).mean())
    assert shares[0] < shares[1]
    assert shares[1] > 0.6
