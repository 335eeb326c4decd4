"""What the harmony model is trained on: chords by a rule, solos, windows; and its network."""

from pathlib import Path

import numpy as np
import pytest

from segue.beats import beat_grid
from segue.harmonize.encoding import FEATURES, MELODY, PRESENCE, WINDOW, melody_columns
from segue.harmonize.vocabulary import chord_of
from segue.score import Meter, Score, Track, make_notes
from training.harmony.batches import epoch, rotate_labels
from training.harmony.data import IGNORE, Song, group_near_duplicates
from training.harmony.voices import chords_by_rule, read_chorales, read_hymns

DATA = Path(__file__).parents[2] / "shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not at ../shared/data")
BEAT = 960


def rule(*voices):
    """The labels by beat of voices of (beats, pitch), all beginning at once."""
    tracks = []
    for voice in voices:
        length = np.array([round(beats * BEAT) for beats, _ in voice])
        onset = np.cumsum(length) - length
        tracks.append(Track("", 0, 0, make_notes(onset, length, [p for _, p in voice], 80)))
    score = Score(tuple(tracks), meters=(Meter(0, 4, 4),))
    notes = np.concatenate([t.notes for t in tracks])
    grid = beat_grid(score, int((notes["onset_tick"] + notes["duration_tick"]).max()))
    return [None if c is None else c.symbol() for c in chords_by_rule(notes, grid)]


def test_plain_chords_are_named_with_their_bass():
    soprano = [(1, 72), (1, 71), (1, 72), (1, 69)]
    alto = [(1, 64), (1, 65), (1, 67), (1, 65)]
    tenor = [(1, 55), (1, 55), (1, 60), (1, 60)]
    bass = [(1, 48), (1, 50), (1, 52), (1, 53)]
    assert rule(soprano, alto, tenor, bass) == ["C", "G7/D", "C/E", "F"]


def test_passing_notes_make_no_chord():
    # The soprano passes over b to a in eighths, the alto holds.
    assert rule([(0.5, 72), (0.5, 71)], [(1, 64)], [(1, 55)], [(1, 48)]) == ["C"]
    assert rule([(1, 60), (1, 62)], [(2, 64)], [(2, 55)], [(2, 48)]) == ["C", "C"]


def test_a_third_alone_tells_major_from_minor_and_a_missing_fifth_costs_nothing():
    assert rule([(1, 72)], [(1, 64)], [(1, 60)]) == ["C"]
    assert rule([(1, 72)], [(1, 63)], [(1, 60)]) == ["Cm"]


def test_an_unclear_beat_keeps_the_chord_before_it():
    clear, cluster = [72, 64, 55, 48], [73, 62, 56, 55]
    assert rule(*([(1, a), (1, b)] for a, b in zip(clear, cluster, strict=True))) == ["C", "C"]
    silent = rule([(1, 72), (1, 72)], [(1, 64)], [(1, 55)], [(1, 48)])
    assert silent[0] == "C"
    assert silent[1] == "C"


@needs_data
def test_hymns_and_chorales_are_read_whole():
    hymns, chorales = read_hymns(DATA / "openhymnal"), read_chorales(DATA / "jsb-chorales")
    assert len(hymns) > 270
    assert len(chorales) == 305
    songs = hymns + chorales
    for song in songs:
        assert len(song.place) == len(song.chord) == len(song.key) == len(song.labels)
    # Signatures of minor hymns are written as those of major ones.
    keyed = [s for s in hymns if s.key[0] != IGNORE]
    assert len(keyed) > 240
    assert sum(s.key[0] >= 12 for s in keyed) > 30
    assert all(s.chord[-1] % 12 == s.key[0] % 12 for s in keyed)
    assert np.mean(np.concatenate([s.strict for s in songs]) >= 0) > 0.9


def song(name, beats, chord=0, grams=()):
    """A song of one chord whose melody repeats the chord's root."""
    notes = make_notes(np.arange(beats) * BEAT, BEAT, np.full(beats, 60 + chord % 12), 80)
    ticks = np.arange(beats + 1) * BEAT
    labels = [chord_of(chord, 0).harte()] * beats
    return Song(
        name=name,
        group=name,
        place=np.zeros((beats, 3), np.float32),
        melody=melody_columns(notes, ticks),
        accompaniment={},
        chord=np.full(beats, chord),
        colour=np.zeros(beats, int),
        strict=np.full(beats, chord),
        labels=labels,
        key=np.full(beats, IGNORE),
        notes=np.zeros((0, 3)),
        grams=set(grams),
    )


def test_every_pass_has_as_many_windows_and_labels_turn_with_the_notes():
    songs = [song(f"pop909/{i:03d}", 100 + 40 * i, chord=i) for i in range(20)]
    sizes = {sum(1 for _ in epoch(songs, 4, np.random.default_rng(seed))) for seed in range(5)}
    assert len(sizes) == 1
    turned = set()
    for features, labels in epoch(songs, 4, np.random.default_rng(1)):
        assert features.shape == (4, WINDOW, FEATURES)
        heard = features[..., PRESENCE].any(axis=-1)
        # What is not there has no label.
        assert (labels["chord"][~features.any(axis=-1)] == IGNORE).all()
        assert (labels["key"] == IGNORE).all()
        for row in range(4):
            known = labels["chord"][row][labels["chord"][row] != IGNORE]
            sounding = features[row][..., MELODY].reshape(-1, 12).sum(axis=0)
            assert len(set(known.tolist())) == 1
            assert np.flatnonzero(sounding).tolist() == [known[0] % 12]
            turned.add(int(known[0]))
        assert features[..., MELODY][~heard].sum() == 0
    # Not every time to the scale that fits best.
    assert len(turned) > 4


def test_labels_are_turned_by_semitones_within_their_mode():
    assert rotate_labels(np.array([0, 12, 24, IGNORE, 11, 23]), 1).tolist() == [11, 23, 24, IGNORE, 10, 22]


def test_songs_that_share_their_melody_are_one_group():
    a, b, c = song("a", 20, grams=range(10)), song("b", 20, grams=range(5, 15)), song("c", 20, grams=[99])
    assert group_near_duplicates([a, b, c]) == 1
    assert a.group == b.group != c.group


def test_the_network_answers_alike_with_its_norms_folded_and_ignores_what_is_not_there():
    torch = pytest.importorskip("torch", reason="the training's PyTorch is not installed")
    from training.harmony.network import OUTPUTS, HarmonyEnsemble, HarmonyNetwork, norms_folded

    torch.manual_seed(0)
    members = [HarmonyNetwork(width=16, blocks=2) for _ in range(2)]
    for member in members:
        for name, parameter in member.named_parameters():
            if "norm" in name:
                torch.nn.init.normal_(parameter)
    network = HarmonyEnsemble(members).eval()
    features = torch.rand(2, 40, FEATURES)
    features[..., PRESENCE] = 1
    features[1, 25:] = 0
    with torch.no_grad():
        whole, folded = network(features), norms_folded(network)(features)
        alone = network(features[1:, :25])
    for name, a, b, c in zip(OUTPUTS, whole, folded, alone, strict=True):
        assert torch.allclose(a, b, atol=1e-4), name
        assert torch.allclose(a[1, :25], c[0], atol=1e-4), name
