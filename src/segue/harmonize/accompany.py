"""The added tracks: which channels they take, what they play, and their entries in the record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segue.beats import Grid
from segue.harmonize.satb import RANGES, VOICES, events_of, parts_of, place_voices
from segue.harmonize.styles import Pulse, play, pulse_of
from segue.harmonize.topline import top_line
from segue.harmonize.voicing import Span, lead_voices
from segue.score import DRUM_CHANNEL, Score, Track, make_notes
from segue.stage import Settings

NAME = "Chords"


def choose_channel(score: Score, program: int) -> tuple[int, int, str | None]:
    """Channel and program of a new track, and a sentence where it has to share a channel.

    A free channel if there is one, never the drums'. Else that of the pitched track with the fewest notes,
    whose program the new track takes over so that nothing else changes its sound.
    """
    used = {track.channel for track in score.tracks}
    for channel in range(16):
        if channel != DRUM_CHANNEL and channel not in used:
            return channel, program, None
    owners = [t for t in score.tracks if t.channel not in (None, DRUM_CHANNEL)]
    same = [t for t in owners if t.program == program]
    owner = min(same or owners, key=lambda t: len(t.notes))
    return (
        owner.channel,
        owner.program,
        f"no channel is free, so the chord track shares channel {owner.channel + 1} and program "
        f"{owner.program} with the track {owner.name!r}",
    )


def chord_tracks(
    score: Score, spans: list[Span], melody: np.ndarray, grid: Grid, settings: Settings
) -> tuple[list[Track], dict[str, Any]]:
    """The tracks that play `spans` below `melody` (a NOTE array), and what the report says of them."""
    style, velocity = settings["style"], settings["velocity"]
    report: dict[str, Any] = {"style": style}
    if style == "satb":
        names, parts, report["broken_rules"] = _four_voices(spans, melody, pulse_of(score, grid), velocity)
    else:
        names, parts = (
            [NAME],
            [play(style, spans, lead_voices(spans, melody), pulse_of(score, grid), velocity)],
        )
    tracks: list[Track] = []
    for name, notes in zip(names, parts, strict=True):
        together = replace(score, tracks=(*score.tracks, *tracks))
        channel, program, shared = choose_channel(together, settings["program"])
        if shared:
            report["reason"] = shared
        tracks.append(Track(name=name, channel=channel, program=program, notes=notes))
    report |= {"channels": [t.channel for t in tracks], "program": tracks[0].program}
    return tracks, report | {"notes": sum(len(t.notes) for t in tracks)}


def _four_voices(
    spans: list[Span], melody: np.ndarray, pulse: Pulse, velocity: int
) -> tuple[list[str], list[np.ndarray], int]:
    """Names and NOTE arrays of four voices, and how many rules of writing had to be broken."""
    anchors = np.union1d(pulse.ticks, [tick for span in spans for tick in (span.start, span.end)])
    beat = float(np.median(np.diff(pulse.ticks)))
    if not len(melody):
        # Without a melody the soprano sings the highest voice of chords that are led by themselves.
        start, end = np.array([(span.start, span.end) for span in spans]).T
        melody = make_notes(start, end - start, [v[-1] for v in lead_voices(spans, melody)], velocity)
    line = top_line(melody, anchors, beat, *RANGES[0])
    events = events_of(spans, line, anchors, pulse.bars)
    placing = place_voices(events)
    return list(VOICES), parts_of(events, placing, line, velocity), placing.broken


def record_entry(track: Track) -> dict[str, Any]:
    """The entry of `record["tracks"]` for an added track."""
    return {
        "name": track.name,
        "channel": track.channel,
        "program": track.program,
        "notes": len(track.notes),
        "role": "bass" if track.name == VOICES[-1] else "chords",
        "human_timing": False,
        "nomml": None,
    }
