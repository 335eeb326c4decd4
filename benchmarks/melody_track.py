"""How well the melody's track is found: `python -m benchmarks.melody_track --data ../shared/data`.

Names, programs and words are hidden, so that only what is played can tell. In POP909 the melody is the track
MELODY, beside BRIDGE and PIANO; in OpenScore Lieder (every tenth song) it is the voice, which has the words.
Then the melody of each POP909 song is put into its piano track: how often is another track taken for the
melody, and, where the user names that track, how many of its top line's notes are the melody's, and how many
of the melody's notes are in it?
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from segue.complete.line import melody_track, top_voice
from segue.config import check_stage
from segue.ingest import apply as ingest
from segue.ingest.roles import find_roles
from segue.metrics.bootstrap import interval_of_mean
from segue.midi import read_midi
from segue.score import LYRIC, Score, Track, sort_notes
from segue.stage import StageError

#: Of the Lieder every so-manieth is read.
EVERY = 10


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    songs = [read_midi(p.read_bytes())[0] for p in sorted((data / "pop909").glob("*/*.mid"))]
    songs = [song for song in songs if any(t.name == "MELODY" for t in song.tracks)]
    print(f"POP909, {len(songs)} songs")
    _tell("melody's track found", [_is_found(song, _named(song, "MELODY")) for song in songs])
    _tell(
        "the same, tracks in reverse order",
        [_is_found(_reversed(s), _named(_reversed(s), "MELODY")) for s in songs],
    )
    _tell_merged(songs)
    lieder = _lieder(data / "openscore-lieder")
    print(f"OpenScore Lieder, {len(lieder)} songs for one voice and piano")
    _tell("voice found", [_is_found(song, voice) for song, voice in lieder])


def hidden(score: Score) -> Score:
    """The score without names, programs and words."""
    tracks = tuple(replace(t, name="", program=0, texts=()) for t in score.tracks)
    return replace(score, tracks=tracks, texts=tuple(t for t in score.texts if t.kind != LYRIC))


def found_track(score: Score) -> int | None:
    """The track that complete takes for the melody, when only what is played can tell."""
    plain = hidden(score)
    return melody_track(plain, {"tracks": [{"role": role} for role in find_roles(plain)]}, "auto")[0]


def _is_found(score: Score, track: int) -> bool:
    return found_track(score) == track


def _named(score: Score, name: str) -> int:
    return next(i for i, t in enumerate(score.tracks) if t.name == name)


def _reversed(score: Score) -> Score:
    return replace(score, tracks=score.tracks[::-1])


def _tell(what: str, flags: list[bool]) -> None:
    share = np.array(flags, float)
    low, high = interval_of_mean(share)
    print(f"  {what}: {100 * share.mean():.1f} % ({100 * low:.1f} to {100 * high:.1f})")


def _tell_merged(songs: list[Score]) -> None:
    """What happens where the tune is in the piano's track."""
    taken: Counter[str] = Counter()
    precision, recall = [], []
    for song in songs:
        melody, piano = (song.tracks[_named(song, n)] for n in ("MELODY", "PIANO"))
        both = replace(piano, notes=sort_notes(np.concatenate([melody.notes, piano.notes])))
        others = tuple(t for t in song.tracks if t.name not in ("MELODY", "PIANO"))
        track = found_track(replace(song, tracks=(both, *others)))
        taken["none" if track is None else "the piano" if track == 0 else "the bridge"] += 1
        top, tune = _onsets(both, top_voice(both.notes)), _onsets(melody, np.arange(len(melody.notes)))
        precision.append(len(top & tune) / max(len(top), 1))
        recall.append(len(top & tune) / max(len(tune), 1))
    shares = ", ".join(f"{name} {100 * n / len(songs):.1f} %" for name, n in taken.most_common())
    print(f"  melody in the piano's track; taken for the melody: {shares}")
    print(
        f"  its top line where that track is named: {100 * np.mean(precision):.1f} % of its notes are the "
        f"melody's, {100 * np.mean(recall):.1f} % of the melody's notes are in it"
    )


def _onsets(track: Track, index: np.ndarray) -> set[tuple[int, int]]:
    notes = track.notes[index]
    return set(zip(notes["onset_tick"].tolist(), notes["pitch"].tolist(), strict=True))


def _lieder(folder: Path) -> list[tuple[Score, int]]:
    """Songs with one voice, which alone has words, and its track."""
    settings = check_stage("ingest", {})
    found: list[tuple[Score, int]] = []
    for path in sorted(folder.glob("*.mxl"))[::EVERY]:
        try:
            score = ingest(path.read_bytes(), path.name, settings).score
        except StageError:
            continue
        voices = [i for i, t in enumerate(score.tracks) if any(x.kind == LYRIC for x in t.texts)]
        if len(voices) == 1 and len(score.tracks) > 1:
            found.append((score, voices[0]))
    return found


if __name__ == "__main__":
    main()
