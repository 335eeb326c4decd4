"""How references, intensity and blends are measured, on toy transfers whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the training's environment")

from segue.chords import Chord
from segue.score import Meter, Score, Tempo, Track, make_notes
from segue.transfer.plane import NAMED, TEMPLATE, TRANSFER, all_together
from training.transfer import controls, references
from training.transfer.accompaniment.evaluate import MEASURES
from training.transfer.controls import by_blend, by_intensity, fit, table, two_styles
from training.transfer.measure import against
from training.transfer.pieces import Piece

BAR = 3840


def piece(style, number=0, beats=4, bars=8):
    """Broken triads, so many notes a bar, another key by number."""
    roots = (np.array([0, 5, 7, 0] * (bars // 4)) + number) % 12
    onset = np.arange(bars * beats) * (BAR // beats)
    pitch = 48 + np.repeat(roots, beats) + np.tile([0, 4, 7, 12][:beats] * (beats // 4 or 1), bars)
    tracks = (
        Track(name="Melody", channel=0, notes=make_notes(onset, np.full(len(onset), 400), pitch + 24, 80)),
        Track(name="Accompaniment", channel=1, notes=make_notes(onset, np.full(len(onset), 400), pitch, 70)),
    )
    record = {
        "tracks": [{"role": r, "name": r, "channel": i} for i, r in enumerate(("melody", "chords"))],
        "chords": [{"tick": i * BAR, "label": Chord(int(r), "maj").symbol()} for i, r in enumerate(roots)],
    }
    score = Score(tracks=tracks, tempos=(Tempo(0, 500_000),), meters=(Meter(0, 4, 4),), end_tick=bars * BAR)
    return Piece(f"{style}/{number}", style, f"{style}/{number}", True, True, score, record)


def like(source, model):
    """The source with the accompaniment of another piece."""
    return replace(
        source, score=replace(source.score, tracks=(source.score.tracks[0], model.score.tracks[1]))
    )


def test_sources_are_of_two_other_styles():
    pieces = [piece(s, i) for s in ("pop", "lied", "hymn") for i in range(2)]
    for number, reference in enumerate(pieces):
        styles = [p.style for _, p in references.sources_of(number, pieces)]
        assert len(set(styles)) == 2
        assert reference.style not in styles
        assert all(pieces[i] is p for i, p in references.sources_of(number, pieces))


def test_fit_is_to_the_reference_and_not_to_its_style(monkeypatch):
    pieces = [piece("pop", 0, 4), piece("pop", 1, 4), piece("lied", 2, 8), piece("lied", 3, 8)]
    by_name = {p.name: p for p in pieces}

    def transferred(source, models, style, seed, reference=None):
        return like(source, by_name[reference["segue_example"]]) if reference else source

    monkeypatch.setattr(references, "transferred", transferred)
    summary = references.plane_of(pieces, {}).summary(all_together)
    entry = summary["all"]
    assert entry["pieces"] == 4
    assert entry[TRANSFER]["fit"] == entry["copy"]["fit"] == 1
    assert entry["identity"]["content"] == 1
    assert entry[NAMED]["fit"] == entry["identity"]["fit"] < 0.9
    assert entry[TEMPLATE]["fit"] > 0.95  # The bars of the reference are all alike.
    assert entry["over_named_style"]["fit"][0] == pytest.approx(1 - entry[NAMED]["fit"], abs=2e-3)
    assert "beats the named style in" in against(summary, NAMED)
    assert set(MEASURES) <= set(entry[TRANSFER])


def test_intensity_and_blend_are_measured_between_source_and_styles():
    far = {"hymn": piece("hymn", 6, 8), "lied": piece("lied", 2, 4), "quartet": piece("quartet", 3, 8)}

    def play(source, style, intensity=1.0, blend=None):
        if blend is not None:
            style = blend[0] if blend[1] > 0.5 else style
        return like(source, far[style]) if intensity > 0.5 else source

    def sound(style):
        return controls.part_histograms(far[style].accompaniment, far[style].score)[:2]

    sources = [piece("pop", 0, 4), piece("pop", 1, 4)]
    assert two_styles(0, sources[0]) == ("hymn", "lied")
    rows = by_intensity(sources, play, sound)
    assert rows["content"].shape == rows["fit"].shape == (2, 2, 5)
    assert rows["content"][:, :, 0] == pytest.approx(1)
    assert (rows["content"][:, :, -1] < 0.95).all()
    assert rows["fit"][:, :, -1] == pytest.approx(1)
    mixed = by_blend(sources, play, sound)
    assert [v.shape for v in mixed.values()] == [(2, 1, 5)] * 2
    assert mixed["fit to the first style"][..., 0] == pytest.approx(1)
    assert mixed["fit to the second"][..., -1] == pytest.approx(1)
    assert fit(sources[0], sound("hymn")) < 1


def test_a_table_says_which_way_it_goes():
    rows = {"down": np.array([[[3.0, 2, 2, 1]], [[2, 1, 1, 0]]]), "up": np.array([[[0.0, 1, 2, 3]]] * 2)}
    lines = table("value", (0, 1, 2, 3), rows, ("down",)).splitlines()
    assert lines[0] == "| value | 0 | 1 | 2 | 3 | last less first | ends that go so | steps |"
    assert lines[2].endswith("| -2.000 [-2.000, -2.000] | 2 of 2 | 2 of 3 |")
    assert lines[3].endswith("| +3.000 [+3.000, +3.000] | 2 of 2 | 3 of 3 |")
    assert table("value", (0, 1, 2, 3), rows, ("down", "up")).splitlines()[3].endswith("| 0 of 2 | 0 of 3 |")
