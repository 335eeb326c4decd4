"""Substitutions: which there are, what the melody allows, and what stays."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from segue.beats import beat_grid
from segue.chords import NO_CHORD, QUALITIES, Chord, parse_chord
from segue.harmonize.consonance import Melody
from segue.harmonize.reharmonize import reharmonize
from segue.harmonize.voicing import Span
from segue.ingest.key import Key
from segue.metrics.harmony import chord_tone_ratio, pitch_consonance_score
from segue.score import Meter, Score, Track, make_notes, no_notes

C, A_MINOR = Key(0, "major"), Key(9, "minor")
BAR = 4 * 960
OPENEWLD = Path(__file__).parents[2] / "shared/data/openewld"


def bars(text, length=BAR):
    """One chord a bar."""
    return [Span(parse_chord(x), i * length, (i + 1) * length) for i, x in enumerate(text.split())]


def grid_over(spans, meter=(4, 4)):
    last = spans[-1].end
    notes = make_notes([0], [last], [60], 80)
    return beat_grid(Score((Track(notes=notes),), meters=(Meter(0, *meter),), end_tick=last))


def run(spans, melody=None, key=C, amount=1.0, seed=0, vocabulary="full", below=None, meter=(4, 4)):
    melody = no_notes() if melody is None else melody
    below = no_notes() if below is None else below
    grid = grid_over(spans, meter)
    return reharmonize(spans, [key] * len(spans), melody, below, grid, amount, vocabulary, seed)


def held(pitches, length=BAR):
    """One held note a bar."""
    return make_notes(np.arange(len(pitches)) * length, np.full(len(pitches), length), pitches, 80)


def everything(spans, seeds=60, **changes):
    """All substitutions that any of many seeds makes, as (tick, before, after, rule)."""
    done = [s for seed in range(seeds) for s in run(spans, seed=seed, **changes)[1]]
    return {(s.tick, s.before.symbol(), s.after.symbol(), s.rule) for s in done}


SONG = bars("C Am F G7 C A7 Dm G7 Em Am Dm7 G7 C")


def test_every_rule_is_there():
    found = everything(SONG)
    assert {rule for *_, rule in found} == {
        "relative",
        "mediant",
        "tritone",
        "secondary dominant",
        "ii-V",
        "modal interchange",
    }
    assert (2 * BAR, "F", "Dm", "relative") in found
    assert (3 * BAR, "G7", "Db7", "tritone") in found
    assert (2 * BAR, "F", "Fm", "modal interchange") in found
    assert (7 * BAR + 2 * 960, "G7", "B7", "secondary dominant") in found
    assert (5 * BAR, "A7", "Em7b5", "ii-V") in found


def test_a_minor_key_has_its_own():
    found = everything(bars("Am Dm E7 Am F Bm7b5 Em Am Dm E7 Am"), key=A_MINOR)
    assert (1 * BAR, "Dm", "D", "modal interchange") in found
    assert (10 * BAR, "Am", "A", "modal interchange") in found
    assert (5 * BAR, "Bm7b5", "Bbmaj7", "modal interchange") in found


def test_the_picardy_third_needs_a_melody_that_leaves_it_open():
    spans = bars("Am Dm E7 Am")
    for pitch, last in ((69, "A"), (72, "Am")):
        new, _ = run(spans, held([69, 69, 68, pitch]), key=A_MINOR)
        assert new[-1].chord.symbol() == last


def test_dominants_that_are_put_lead_to_what_sounds_next():
    for seed in range(40):
        new, done = run(SONG, seed=seed)
        chord_at = {span.start: i for i, span in enumerate(new)}
        for s in done:
            following = new[chord_at[s.tick] + 1].chord
            if s.rule == "secondary dominant" or (s.rule == "ii-V" and s.after.quality == "7"):
                assert following.root == (s.after.root + 5) % 12
            elif s.rule == "modal interchange" and s.before.symbol() == "G7":
                assert (s.after.symbol(), following.symbol()) == ("Bb7", "C")
            elif s.rule == "tritone":
                assert following.root == (s.after.root - 1) % 12
            elif s.rule == "ii-V":
                assert following.root == (s.after.root + 5) % 12


@pytest.mark.parametrize("seed", range(20))
def test_beginning_and_last_cadence_stay(seed):
    new, _ = run(SONG, seed=seed)
    assert new[0].chord == SONG[0].chord
    assert [s.chord for s in new[-2:]] == [s.chord for s in SONG[-2:]]
    assert new[-1].start == SONG[-1].start


@pytest.mark.parametrize("seed", range(8))
def test_smaller_amounts_are_part_of_larger_ones(seed):
    before = set()
    for amount in (0, 0.1, 0.25, 0.5, 0.75, 1):
        done = set(run(SONG, amount=amount, seed=seed)[1])
        assert before <= done
        assert bool(done) == (amount > 0)
        before = done
    assert len(before) > 5


def test_cadences_go_last():
    """Of all that can be changed, a tonic after its dominant is."""
    spans = bars("C F G7 C F Am G7 C Dm F G7 C F G7 C")
    for seed in range(10):
        half = {s.tick for s in run(spans, seed=seed, amount=0.5)[1]}
        assert not half & {3 * BAR, 7 * BAR, 11 * BAR}
    assert any(3 * BAR in {s.tick for s in run(spans, seed=seed)[1]} for seed in range(10))


def test_the_seed_decides_and_repeats():
    assert run(SONG, seed=3) == run(SONG, seed=3)
    assert len({tuple(run(SONG, amount=0.5, seed=seed)[1]) for seed in range(6)}) > 3


@pytest.mark.parametrize(
    ("notes", "before", "after", "allowed"),
    [
        # Onset and length in beats, pitch. A held F a minor ninth above the E of Am:
        ([(0, 3, 72), (3, 1, 65)], "C", "Am", False),
        ([(0, 3, 72), (3, 0.5, 65), (3.5, 0.5, 64)], "C", "Am", False),
        ([(0, 3.5, 72), (3.5, 0.5, 65)], "C", "Am", True),
        # Tied over from the chord before:
        ([(-0.75, 1.25, 65), (0.5, 3.5, 72)], "C", "Am", False),
        # The root above the major seventh:
        ([(0, 4, 72)], "G7", "Cmaj7", False),
        ([(0, 4, 72)], "G7", "C", True),
        ([(0, 4, 72)], "G7", "F", True),
        # Half of what counts is no chord tone, and was one:
        ([(0, 2, 62), (2, 2, 60)], "Dm7", "F", False),
        ([(0, 1, 62), (1, 3, 60)], "Dm7", "F", True),
        ([(0, 2, 62), (2, 2, 60)], "Em", "F", True),
        # Short notes do not count, but all of them together are much less consonant:
        ([(i / 2 + 0.25, 0.25, 62) for i in range(8)], "Dm", "C", False),
        ([(i / 2 + 0.25, 0.25, 62) for i in range(8)], "Dm", "G", True),
        ([], "Dm", "C#maj7", True),
    ],
)
def test_what_the_melody_allows(notes, before, after, allowed):
    onset, length, pitch = np.array(notes, float).reshape(-1, 3).T
    melody = make_notes(BAR + onset * 960, length * 960, pitch, 80)
    asked = Melody(melody, grid_over(bars("C C C")))
    gain = asked.gain(parse_chord(before), parse_chord(after), BAR, 2 * BAR)
    assert (gain is not None) == allowed


def test_the_gain_is_that_of_the_consonance():
    """C above G: a fourth, 0; a second above B, -1; a seventh above D, -1. Above C, E and G: 1, 1 and 0."""
    asked = Melody(held([72]), grid_over(bars("C")))
    assert asked.gain(parse_chord("G"), parse_chord("C"), 0, BAR) == pytest.approx(2 / 3 - -2 / 3)


def test_passing_notes_do_not_forbid_a_chord():
    """An F between beats is no obstacle for E minor, a held one is."""
    spans = bars("C C C C C C C")
    passing = make_notes([BAR, BAR + 1920 + 480], [1920 + 480, 240], [67, 65], 80)
    offbeat = everything(spans, melody=passing)
    assert (BAR, "C", "Em", "mediant") in offbeat
    assert not any(s[2] == "Em" for s in everything(spans, melody=held([67] + [65] * 6)))


@pytest.mark.parametrize(("vocabulary", "qualities"), [("triads", "maj min dim"), ("majmin", "maj min")])
def test_smaller_vocabularies(vocabulary, qualities):
    found = {s.after.quality for seed in range(40) for s in run(SONG, seed=seed, vocabulary=vocabulary)[1]}
    assert found == set(qualities.split())


def test_an_accompaniment_of_its_own_keeps_its_chords():
    onset = np.repeat(np.arange(len(SONG)) * BAR, 3)
    pitches = [48 + p for span in SONG for p in span.chord.pitch_classes[:3]]
    below = make_notes(onset, np.full(len(onset), BAR), pitches, 60)
    for seed in range(10):
        assert run(SONG, below=below, seed=seed)[1] == []
    # Its notes are those of the relative chord with that chord's root below: this one may be named.
    below = make_notes([BAR, BAR, BAR], [BAR] * 3, [45, 48, 52], 60)
    spans = bars("C C C G7 C")
    assert (BAR, "C", "Am", "relative") in everything(spans, below=below)


def test_no_chord_stays_and_nothing_is_put_into_it():
    spans = [Span(NO_CHORD, 0, BAR), *bars("C")]
    assert run(spans[:1]) == (spans[:1], [])
    spans = [Span(s.chord, s.start + BAR * (i > 0), s.end + BAR * (i > 0)) for i, s in enumerate(spans)]
    for seed in range(5):
        new, _ = run(spans, seed=seed)
        assert new[0] == spans[0]


@st.composite
def songs(draw):
    qualities = st.sampled_from([*QUALITIES])
    chord = st.one_of(st.just(NO_CHORD), st.builds(Chord, st.integers(0, 11), qualities))
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=14))
    unit = draw(st.sampled_from([480, 960]))
    edges = np.cumsum([0, *lengths]) * unit
    spans = [Span(draw(chord), int(a), int(b)) for a, b in pairwise(edges)]
    count = draw(st.integers(0, 30))
    onset = [draw(st.integers(0, int(edges[-1]))) for _ in range(count)]
    pitch = [draw(st.integers(48, 84)) for _ in range(count)]
    melody = make_notes(onset, [draw(st.integers(1, 2000)) for _ in range(count)], pitch, 80)
    key = Key(draw(st.integers(0, 11)), draw(st.sampled_from(["major", "minor"])))
    return spans, melody, key, draw(st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 4)]))


@given(songs(), st.integers(0, 5), st.sampled_from(["full", "triads", "majmin"]), st.integers(0, 11))
@hypothesis_settings(max_examples=150, deadline=None)
def test_time_is_kept_and_transposing_transposes(song, seed, vocabulary, up):
    spans, melody, key, meter = song
    new, done = run(spans, melody, key, 1.0, seed, vocabulary, meter=meter)
    assert (new[0].start, new[-1].end) == (spans[0].start, spans[-1].end)
    assert all(a.end == b.start and a.start < a.end for a, b in pairwise(new))
    assert all(s.before != s.after for s in done)
    moved = [Span(s.chord.transposed(up), s.start, s.end) for s in spans]
    higher = melody.copy()
    higher["pitch"] += up
    again, _ = run(moved, higher, Key((key.tonic + up) % 12, key.mode), 1.0, seed, vocabulary, meter=meter)
    assert again == [Span(s.chord.transposed(up), s.start, s.end) for s in new]


@pytest.mark.skipif(not OPENEWLD.is_dir(), reason="OpenEWLD is not at ../shared/data")
def test_melodies_of_lead_sheets_stay_consonant():
    from segue.ingest.chords import chord_markers
    from segue.ingest.formats import read
    from segue.ingest.key import find_key

    before, after = [], []
    for path in sorted(OPENEWLD.glob("*.mxl"))[:20]:
        score, _, _ = read(path.read_bytes(), path.name, 20)
        melody = score.tracks[0].notes
        starts = [(t.tick, parse_chord(t.text)) for t in chord_markers(score)]
        if not len(melody) or len(starts) < 3:
            continue
        grid = beat_grid(score)
        ends = [*(tick for tick, _ in starts[1:]), int(grid.ticks[-1])]
        spans = [Span(c, t, e) for (t, c), e in zip(starts, ends, strict=True) if e > t]
        keys = [find_key(score)] * len(spans)
        new, done = reharmonize(spans, keys, melody, no_notes(), grid, 1.0, "full", 1)
        assert done
        for rows, sequence in ((before, spans), (after, new)):
            eighths = np.searchsorted([s.start for s in sequence], np.arange(0, ends[-1], 480), "right") - 1
            chords = [sequence[i].chord if i >= 0 else NO_CHORD for i in eighths]
            onset, length, pitch = melody["onset_tick"], melody["duration_tick"], melody["pitch"]
            rows.append(
                (
                    chord_tone_ratio(onset, pitch, chords, 480),
                    pitch_consonance_score(onset, length, pitch, chords, 480),
                )
            )
    (ratio, consonance), (new_ratio, new_consonance) = np.mean(before, axis=0), np.mean(after, axis=0)
    assert new_consonance >= consonance
    assert new_ratio >= ratio - 0.06
