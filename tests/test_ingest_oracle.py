"""note-seq as an independent reader: where it reads a file at all, both must find the same notes."""

import re
import warnings
import zipfile
from pathlib import Path

import pytest

from segue.ingest.abc import read_abc
from segue.ingest.musicxml import read_musicxml

DATA = Path(__file__).parents[2] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not here")


@pytest.fixture(scope="module")
def note_seq():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("note_seq")


def found_by(sequence) -> list[tuple[int, int]]:
    """(onset in ticks, pitch) of the notes of a note-seq sequence of constant tempo."""
    ticks_a_second = 960 * sequence.tempos[0].qpm / 60 if sequence.tempos else 1920
    notes = [n for n in sequence.notes if n.end_time > n.start_time]
    return sorted((round(n.start_time * ticks_a_second), n.pitch) for n in notes)


def onsets(score) -> list[tuple[int, int]]:
    return sorted((onset, pitch) for t in score.tracks for onset, _, pitch, _ in t.notes.tolist())


def test_musicxml(note_seq):
    from note_seq import musicxml_reader

    compared = 0
    for path in sorted((DATA / "openewld").glob("*.mxl"))[::3]:
        with zipfile.ZipFile(path) as archive:
            text = b"".join(archive.read(n) for n in archive.namelist() if not n.startswith("META-INF"))
        # note-seq plays tied notes twice and passes over repeats.
        if b"<tie " in text or b"<repeat" in text:
            continue
        try:
            sequence = musicxml_reader.musicxml_file_to_sequence_proto(str(path))
        except musicxml_reader.MusicXMLConversionError:
            continue
        if len(sequence.tempos) > 1:
            continue
        score, _ = read_musicxml(path.read_bytes())
        assert onsets(score) == found_by(sequence), path.name
        symbols = [a for a in sequence.text_annotations if a.text != "N.C."]
        assert len([m for m in score.markers() if m.text != "N.C."]) >= len(symbols), path.name
        compared += 1
    assert compared >= 10


def test_abc(note_seq):
    from note_seq import abc_parser, sequences_lib

    compared = 0
    for path in sorted((DATA / "tunebooks").glob("*/*.abc"))[::10]:
        for tune in re.split(r"\n(?=X:)", "\n" + path.read_text(encoding="latin-1"))[1:3]:
            music = re.sub(r"^[A-Za-z]:.*$", "", tune, flags=re.M)
            # note-seq plays tied notes twice and leaves ornaments out.
            if re.search(r"[{~T-]", music):
                continue
            tunes, _ = abc_parser.parse_abc_tunebook(tune)
            for sequence in tunes.values():
                if sequence.section_groups:
                    sequence = sequences_lib.expand_section_groups(sequence)
                score, _ = read_abc(tune.encode())
                assert onsets(score) == found_by(sequence), tune
                compared += 1
    assert compared >= 20
