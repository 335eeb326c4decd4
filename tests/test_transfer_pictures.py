"""The picture of a piece before and after."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
from test_transfer import band, run

from segue.score import Score
from segue.transfer.pictures import transfer_picture

SVG = "{http://www.w3.org/2000/svg}"


def strokes(picture, colour):
    """The number of bars drawn in a colour."""
    root = ElementTree.fromstring(picture)
    paths = [p for p in root.iter(f"{SVG}path") if p.get("class") == colour and "h" in p.get("d")]
    return sum(len(re.findall("M", p.get("d"))) for p in paths)


def test_both_rolls_show_their_own_notes():
    score, record = band(bars=8, drums=False)
    fewer = score.tracks[1]
    after = score.with_track(1, fewer.with_notes(fewer.notes[:3]))
    picture = transfer_picture(score, record, after, record)
    before, now = strokes(picture, "before"), strokes(picture, "after")
    assert before - now == len(fewer.notes) - 3
    # The melody stands in both.
    assert strokes(picture, "tune") == 2 * len(score.tracks[0].notes)


def test_a_long_piece_has_a_row_for_every_eight_bars():
    short, long = (
        int(ElementTree.fromstring(transfer_picture(s, r, s, r)).get("viewBox").split()[-1])
        for s, r in (band(bars=8), band(bars=16))
    )
    assert short < long < 2 * short


def test_drums_are_drawn_and_nothing_gives_no_picture():
    score, record = band(bars=8)
    bare, told = band(bars=8, drums=False)
    assert strokes(transfer_picture(score, record, score, record), "after") > strokes(
        transfer_picture(bare, told, bare, told), "after"
    )
    only = Score(tracks=score.tracks[3:], meters=score.meters)
    assert transfer_picture(only, {"tracks": record["tracks"][3:]}, only, {"tracks": record["tracks"][3:]})
    assert transfer_picture(Score(), {"tracks": []}, Score(), {"tracks": []}) is None


def test_names_from_files_are_harmless_and_bytes_repeat():
    score, record = band(bars=8)
    score = score.with_track(1, replace(score.tracks[1], name="<b>&\x00"))
    record = record | {"id": "a<b&c"}
    first = transfer_picture(score, record, score, record)
    ElementTree.fromstring(first)
    assert first == transfer_picture(score, record, score, record)


def test_the_setting_draws_and_changes_no_music():
    score, record = band(bars=8)
    plain, drawn = run(score, record, style="pop"), run(score, record, style="pop", figures=True)
    assert plain.files == {}
    assert set(drawn.files) == {"transfer.svg"}
    assert run(score, record, figures=True).files == {}
    for a, b in zip(plain.score.tracks, drawn.score.tracks, strict=True):
        assert np.array_equal(a.notes, b.notes)
