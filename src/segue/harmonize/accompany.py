"""The added tracks: which channels they take, what they play, and their entries in the record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segue.beats import Grid
from segue.harmonize.satb import RANGES, VOICES, events_of, parts_of, place_voices
from segue.harmonize.styles import Pulse, notes_of, play, pulse_of
from segue.harmonize.topline import top_line
from segue.harmonize.voicing import Span, lead_voices
from segue.harmonize.walking import walk
from segue.score import DRUM_CHANNEL, Score, Track, make_notes
from segue.stage import Settings

NAME = "Chords"
BASS = VOICES[-1]
#: An acoustic bass plays a walking bass, and the chords stand a little behind it (MIDI velocity).
_BASS_PROGRAM = 32
_BEHIND = 10


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
    score: Score, spans: list[Span], melody: np.ndarray, grid: Grid, settings: Settings, seed: int
) -> tuple[list[Track], dict[str, Any]]:
    """The tracks that play `spans` below `melody` (a NOTE array), and what the report says of them."""
    style, velocity = settings["style"], settings["velocity"]
    pulse = pulse_of(score, grid)
    report: dict[str, Any] = {"style": style}
    programs = dict.fromkeys((NAME, *VOICES), settings["program"])
    if style == "satb":
        parts, report["broken_rules"] = _four_voices(spans, melody, pulse, velocity)
    else:
        voicings = lead_voices(spans, melody)
        if style == "walking bass":
            programs[BASS] = _BASS_PROGRAM
            above = play("block", spans, [v[1:] for v in voicings], pulse, max(velocity - _BEHIND, 1))
            parts = {BASS: notes_of(walk(spans, pulse, seed), velocity), NAME: above}
        else:
            parts = {NAME: play(style, spans, voicings, pulse, velocity)}
    tracks: list[Track] = []
    for name, notes in parts.items():
        together = replace(score, tracks=(*score.tracks, *tracks))
        channel, program, shared = choose_channel(together, programs[name])
        if shared:
            report["reason"] = shared
        tracks.append(Track(name=name, channel=channel, program=program, notes=notes))
    report |= {"channels": [t.channel for t in tracks], "programs": [t.program for t in tracks]}
    return tracks, report | {"notes": sum(len(t.notes) for t in tracks)}


def _four_voices(
    spans: list[Span], melody: np.ndarray, pulse: Pulse, velocity: int
) -> tuple[dict[str, np.ndarray], int]:
    """The NOTE arrays of four voices by name, and how many rules of writing had to be broken."""
    anchors = np.union1d(pulse.ticks, [tick for span in spans for tick in (span.start, span.end)])
    beat = float(np.median(np.diff(pulse.ticks)))
    if not len(melody):
        # Without a melody the soprano sings the highest voice of chords that are led by themselves.
        start, end = np.array([(span.start, span.end) for span in spans]).T
        melody = make_notes(start, end - start, [v[-1] for v in lead_voices(spans, melody)], velocity)
    line = top_line(melody, anchors, beat, *RANGES[0])
    events = events_of(spans, line, anchors, pulse.bars)
    placing = place_voices(events)
    parts = parts_of(events, placing, line, velocity)
    return dict(zip(VOICES, parts, strict=True)), placing.broken


def record_entry(track: Track) -> dict[str, Any]:
    """The entry of `record["tracks"]` for an added track."""
    return {
        "name": track.name,
        "channel": track.channel,
        "program": track.program,
        "notes": len(track.notes),
        "role": "bass" if track.name == BASS else "chords",
        "human_timing": False,
        "nomml": None,
    }
