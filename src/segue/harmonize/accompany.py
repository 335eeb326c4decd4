"""The added chord track: which channel it takes, what it plays, and its entry in the record."""

from __future__ import annotations

from typing import Any

import numpy as np

from segue.beats import Grid
from segue.harmonize.voicing import Span, lead_voices, play
from segue.score import DRUM_CHANNEL, Score, Track

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


def chord_track(
    score: Score,
    spans: list[Span],
    melody: np.ndarray,
    grid: Grid,
    program: int,
    rhythm: str,
    velocity: int,
) -> tuple[Track, dict[str, Any]]:
    """The track that plays `spans` below `melody` (a NOTE array), and what the report says of it."""
    channel, program, shared = choose_channel(score, program)
    voicings = lead_voices(spans, melody)
    bars = grid.ticks[:-1][grid.number == 0]
    notes = play(spans, voicings, grid.ticks, bars, rhythm, velocity)
    report: dict[str, Any] = {"channel": channel, "program": program, "notes": len(notes)}
    if shared:
        report["reason"] = shared
    return Track(name=NAME, channel=channel, program=program, notes=notes), report


def record_entry(track: Track) -> dict[str, Any]:
    """The entry of `record["tracks"]` for an added chord track."""
    return {
        "name": track.name,
        "channel": track.channel,
        "program": track.program,
        "notes": len(track.notes),
        "role": "chords",
        "human_timing": False,
        "nomml": None,
    }
