"""What transfers are held against, by hand: templates, copies, the plane, chords heard."""

import numpy as np
import pytest

from segue.chords import NO_CHORD, parse_chord
from segue.metrics import style
from segue.runtime import load_model
from segue.score import Meter, Score, Tempo, Track, make_notes
from segue.transfer import plane as planes
from segue.transfer.agreement import chord_agreement
from segue.transfer.profiles import notes_a_beat, part_histograms, part_prints
from segue.transfer.template import Part, choose_bars, describe, distance, library, play

QUARTER = 960
BAR = 4 * QUARTER


def part(symbols, bars=None, notes=(), length=BAR):
    """A part with a chord every two quarters; notes are (quarter, length in quarters, pitch)."""
    bars = bars or len(symbols) // 2
    start, duration, pitch = np.array(notes or [(0, 1, 60)], float).T
    return Part(
        make_notes(start * QUARTER, duration * QUARTER, pitch.astype(int), 70),
        np.arange(bars + 1) * length,
        np.arange(len(symbols)) * 2 * QUARTER,
        [NO_CHORD if s == "N" else parse_chord(s) for s in symbols],
    )


# Templates


def test_chords_are_described_from_the_first_root_of_the_bar():
    chords, root = describe(part(["D", "A7/C#", "N", "G", "N", "N"]))
    assert root.tolist() == [2, 7, -1]
    assert chords[0, :5, 0].tolist() == [0, 0, 7, 7, -1]  # Four quarters; A is a fifth above D.
    assert chords[0, :4, 2].tolist() == [0, 0, 4, 4]  # The bass of A7/C# is a third above its root.
    assert chords[1, :4, 0].tolist() == [12, 12, 0, 0]
    moved, _ = describe(part(["E", "B7/D#"]))
    assert (moved[0] == chords[0]).all()


@pytest.mark.parametrize(
    ("other", "away"),
    [
        (["F", "C"], 0),
        (["C", "F"], 2 * 4),  # Two quarters with another root.
        (["Fm", "C"], 2 * (2 + 0.5)),  # Another third is another quality, too.
        (["F", "C7"], 2 * 0.5),
        (["F", "C/E"], 2 * 1),
        (["F", "N"], 2 * 4),
    ],
)
def test_distance_of_two_bars(other, away):
    wanted, _ = describe(part(["G", "D"]))
    bars, _ = describe(part(other))
    assert distance(wanted[0], bars).tolist() == [away]


def test_the_nearest_bar_is_taken_transposed_and_goes_on():
    tune = [(0, 1, 48), (2, 1, 55), (4, 2, 43), (8, 1, 57)]
    of = library([part(["C", "G", "G", "G", "Am", "Am"], notes=tune)])
    assert len(of) == 3
    wanted = part(["D", "A", "A", "A", "Em", "Em", "A", "A"])
    silent = np.array([False, False, False, False])
    chosen = choose_bars(wanted, of, silent, np.random.default_rng(0))
    assert chosen.tolist() == [0, 1, 2, 1]
    notes = play(wanted, chosen, of)
    assert notes["pitch"].tolist() == [
        50,
        57,
        45,
        52,
        45,
    ]  # 57 - 5: A minor to E minor is the short way down.
    assert (notes["onset_tick"] / QUARTER).tolist() == [0, 2, 4, 8, 12]
    silent[1] = True
    assert choose_bars(wanted, of, silent, np.random.default_rng(0)).tolist() == [0, -1, 2, 1]


def test_equally_near_bars_go_on_then_stay_in_the_piece_then_are_drawn():
    one = part(["C"] * 8, notes=[(0, 1, 60), (4, 1, 61), (8, 1, 62), (12, 1, 63)])
    two = part(["C"] * 4, notes=[(0, 1, 70), (4, 1, 71)])
    of = library([one, two])
    wanted = part(["C"] * 20)
    for seed in range(8):
        chosen = choose_bars(wanted, of, np.zeros(10, bool), np.random.default_rng(seed))
        assert len(set(of.piece[chosen])) == 1
        step = np.diff(chosen)
        last = {3, 5}  # After the last bar of a piece another one of it is drawn.
        assert all(s == 1 or c in last for s, c in zip(step, chosen[:-1], strict=True))
    firsts = {
        int(choose_bars(wanted, of, np.zeros(10, bool), np.random.default_rng(s))[0]) for s in range(40)
    }
    assert firsts == {0, 1, 2, 3, 4, 5}


def test_a_bar_of_the_right_length_comes_before_one_with_the_right_chords():
    long = part(["Am", "Am"], notes=[(0, 1, 57), (3, 1, 60)])
    short = Part(long.notes[:1], np.array([0, 3 * QUARTER]), np.array([0]), [parse_chord("C")])
    of = library([long, short])
    wanted = Part(long.notes, np.array([0, 3 * QUARTER]), np.array([0]), [parse_chord("Am")])
    chosen = choose_bars(wanted, of, np.zeros(1, bool), np.random.default_rng(0))
    assert chosen.tolist() == [1]
    alone = library([long])  # Nothing else there: the long bar is cut.
    chosen = choose_bars(wanted, alone, np.zeros(1, bool), np.random.default_rng(0))
    assert play(wanted, chosen, alone)["onset_tick"].tolist() == [0]


# Copies


def test_bars_with_the_same_notes_in_another_key_have_the_same_print():
    bar = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3])
    step = np.array([0, 4, 0, 4, 0, 4, 0, 4, 4])
    pitch = np.array([60, 64, 62, 66, 60, 65, 67, 71, 71])
    length = np.array([4, 2, 4, 2, 4, 2, 4, 2, 2])
    prints = style.bar_prints(bar, step, pitch, length, 5)
    assert prints.dtype == np.uint64
    assert prints[0] == prints[1] == prints[3]  # A doubled note counts once.
    assert prints[2] not in (0, prints[0])
    assert prints[4] == 0
    kept = style.bar_prints(bar, step, pitch, length, 5, in_any_key=False)
    assert len(set(kept.tolist())) == 5
    longer = style.bar_prints(bar, step, pitch, length + (bar == 0), 5)
    later = style.bar_prints(bar, step + (bar == 0), pitch, length, 5)
    assert prints[0] not in (longer[0], later[0])


def test_prints_do_not_depend_on_the_order_nor_on_small_deviations():
    notes = make_notes([0, 0, 960, 3830], [900, 960, 480, 960], [60, 64, 67, 62], 80)
    score = Score((Track("a", channel=0, notes=notes),), (Tempo(0, 500_000),), (Meter(0, 4, 4),))
    prints = part_prints(notes, score)
    assert len(prints) == 2  # The last note belongs to the bar that begins right after it.
    exact = make_notes([960, 0, 0, 3840], [480, 960, 960, 960], [67, 64, 60, 62], 80)
    assert part_prints(exact, score).tolist() == prints.tolist()
    assert notes_a_beat(notes, score) == 4 / 8


def test_an_early_note_is_at_the_place_of_its_bar():
    notes = make_notes([2870], [480], [60], 80)
    score = Score((Track("a", channel=0, notes=notes),), (Tempo(0, 500_000),), (Meter(0, 3, 4),))
    _, duration, velocity = part_histograms(notes, score)
    assert duration[0, 2] == 1
    assert duration.sum() == 1
    assert velocity[0, 5] == 1
    assert velocity.sum() == 1


# The plane


def points(rows):
    """A plane with measures a and b, fit a alone; rows of (source, target, kind, piece, content, a)."""
    plane = planes.Plane(("a", "b"), ("a",))
    for source, target, kind, piece, content, fit in rows:
        plane.add(source, target, kind, piece, content, [fit, 0.5])
    return plane


def test_means_and_what_dominates():
    rows = [("x", "y", "transfer", 0, 0.6, 0.8), ("x", "y", "transfer", 1, 0.8, 0.6)]
    rows += [("x", "y", "identity", i, 1.0, 0.5) for i in (0, 1)]
    rows += [("x", "y", "copy", i, 0.7, 0.9) for i in (0, 1)]
    rows += [("z", "y", "transfer", 2, 0.1, 0.1), ("z", "y", "identity", 2, 1.0, 0.0)]
    rows += [("z", "y", "copy", 2, 0.0, 0.0)]
    pairs = points(rows).summary(planes.by_pair)
    assert pairs["x to y"]["transfer"]["content"] == 0.7
    assert pairs["x to y"]["transfer"]["fit"] == pairs["x to y"]["transfer"]["a"] == 0.7
    assert pairs["x to y"]["transfer"]["b"] == 0.5
    assert pairs["x to y"]["transfer"]["content_interval"] == [0.6, 0.8]
    assert pairs["x to y"]["dominated_by"] == ["copy"]
    assert pairs["z to y"]["dominated_by"] == []
    target = points(rows).summary(planes.by_target)["y"]
    assert target["transfer"]["content"] == 0.5
    assert target["pieces"] == target["transfers"] == 3
    assert points(rows).summary(planes.all_together)["all"]["transfer"]["content"] == 0.5
    assert "over_template" not in target


@pytest.mark.parametrize(
    ("content", "fit", "beaten"),
    [
        ((0.1, 0.2), (0.1, 0.3), ["content", "fit"]),
        ((-0.1, 0.2), (0.1, 0.3), ["fit"]),  # Content is neither better nor worse.
        ((-0.1, -0.2), (0.1, 0.3), []),  # Bought with content.
        ((0.1, 0.2), (-0.1, 0.1), ["content"]),
    ],
)
def test_a_template_is_beaten_in_one_without_loss_in_the_other(content, fit, beaten):
    rows = []
    for i, (c, f) in enumerate(zip(content, fit, strict=True)):
        rows.append(("x", "y", "transfer", i, 0.5 + c, 0.5 + f))
        rows.append(("x", "y", "template", i, 0.5, 0.5))
    over = points(rows).summary(planes.by_pair)["x to y"]["over_template"]
    assert over["beaten_in"] == beaten
    assert over["content"][0] == pytest.approx(np.mean(content), abs=1e-3)
    assert over["fit"][1:] == pytest.approx(sorted(fit), abs=1e-3)


# Chords heard


def test_held_triads_are_heard_and_wrong_labels_are_not():
    triads = {"C": (48, 52, 55), "F": (53, 57, 60), "G": (55, 59, 62)}
    names = ["C", "F", "G", "C"] * 3
    rows = [(i * BAR, BAR, p) for i, n in enumerate(names) for p in triads[n]]
    onset, duration, pitch = np.array(rows).T
    piano = Track("Piano", channel=0, notes=make_notes(onset, duration, pitch, 70))
    score = Score((piano,), (Tempo(0, 500_000),), (Meter(0, 4, 4),))
    record = {
        "tracks": [{"role": "chords"}],
        "chords": [{"tick": i * BAR, "label": n} for i, n in enumerate(names)],
    }
    model = load_model("harmony")
    assert chord_agreement(score, record, model) == (48, 48)
    wrong = [*record["chords"][:1], {"tick": BAR, "label": "F#"}, {"tick": 2 * BAR, "label": "N.C."}]
    right, counted = chord_agreement(score, record | {"chords": wrong}, model)
    assert (right, counted) == (4, 8)  # F# is not heard, no chord does not count.
    assert chord_agreement(score, record | {"chords": []}, model) == (0, 0)
