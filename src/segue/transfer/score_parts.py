"""Which tracks of a score are re-played, which stay, and the new score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segue.score import CONTROL_CHANGE, PROGRAM_CHANGE, Score, Track
from segue.transfer.ensemble import Player, deal, free_channels, join
from segue.transfer.grid import STEP_TICKS
from segue.transfer.instruments import program_range

#: An `other` track is accompaniment when at least this share of its notes sounds with another one's onset.
_HARMONIC_SHARE = 0.3
_BANK_SELECT = (0, 32)

Entries = list[dict[str, Any]]


@dataclass(frozen=True)
class Chosen:
    """Indices of the tracks to re-play and of the melodies, and what is left alone with the reason."""

    replaced: list[int]
    melodies: list[int]
    kept: Entries
    #: The only track with harmony is that of the melody.
    melody_plays_chords: bool


@dataclass(frozen=True)
class Band:
    """Who plays: the style's name, its players from high to low, who takes over the melody, whether the
    instruments of the piece stay, and whether the melody does.
    """

    name: str
    players: tuple[Player, ...]
    lead: Player | None
    keep_instruments: bool
    keep_melody: bool


def choose_tracks(score: Score, tracks: Sequence[dict[str, Any]], bass: bool) -> Chosen:
    """Who is re-played and who stays; with `bass` off the bass stays.

    Where nobody plays chords, two or more lines beside the melody are the harmony together: the voices of a
    choir, the strings of a quartet.
    """
    replaced: list[int] = []
    melodies: list[int] = []
    lines: list[int] = []
    kept: Entries = []
    for i, (track, entry) in enumerate(zip(score.tracks, tracks, strict=True)):
        if entry["role"] == "drums" or track.is_drum or len(track.notes) == 0:
            continue
        role = entry["role"]
        if role == "melody":
            melodies.append(i)
        elif role == "chords" or (role == "bass" and bass):
            replaced.append(i)
        elif role == "bass":
            kept.append({"track": i, "reason": "bass is off"})
        elif _is_harmonic(track):
            replaced.append(i)
        else:
            lines.append(i)
    has_chords = any(tracks[i]["role"] != "bass" for i in replaced)
    basses = sum(tracks[i]["role"] == "bass" for i in replaced) + len(kept)
    if not has_chords and melodies and lines and len(lines) + basses >= 2:
        replaced = sorted(replaced + lines)
        lines = []
    kept += [{"track": i, "reason": "a single line of its own, not an accompaniment"} for i in lines]
    alone = not replaced and any(_is_harmonic(score.tracks[i]) for i in melodies)
    return Chosen(replaced, melodies, kept, alone)


def _is_harmonic(track: Track) -> bool:
    onset = track.notes["onset_tick"]
    near = np.diff(onset) <= STEP_TICKS // 8
    together = np.zeros(len(onset), bool)
    together[1:] |= near
    together[:-1] |= near
    return bool(together.mean() >= _HARMONIC_SHARE)


def assemble(
    score: Score,
    tracks: Entries,
    chosen: Chosen,
    band: Band,
    written: tuple[np.ndarray, np.ndarray],
    bars: tuple[np.ndarray, np.ndarray],
    report: dict[str, Any],
) -> tuple[Score, Entries, dict[str, Any]]:
    """The new score, its track records and the report.

    `written` are the new notes (n,) and which of them are the high hand's; `bars` the ticks of the bar lines
    and which bars are re-played. Replaced tracks lose their notes in re-played bars; those without any left
    go, unless they hold words.
    """
    left = {i: _left(score.tracks[i].notes, *bars) for i in chosen.replaced}
    dropped = [] if band.keep_melody else chosen.melodies
    left |= {i: score.tracks[i].notes[:0] for i in dropped}
    report["replaced"] = [_told(i, score.tracks[i], kept) for i, kept in sorted(left.items())]
    if band.keep_instruments and chosen.replaced:
        return _by_the_same(score, tracks, chosen.replaced, left, written, report)
    return _by_the_band(score, tracks, left, band, chosen, written, report)


def _left(notes: np.ndarray, bar_tick: np.ndarray, replay_bar: np.ndarray) -> np.ndarray:
    bar = np.searchsorted(bar_tick, notes["onset_tick"] + STEP_TICKS // 2, "right") - 1
    return notes[~replay_bar[np.clip(bar, 0, len(replay_bar) - 1)]]


def _told(index: int, track: Track, left: np.ndarray) -> dict[str, Any]:
    return {"track": index, "name": track.name, "notes": len(track.notes) - len(left), "left": len(left)}


def _by_the_same(
    score: Score,
    tracks: Entries,
    replaced: Sequence[int],
    left: dict[int, np.ndarray],
    written: tuple[np.ndarray, np.ndarray],
    report: dict[str, Any],
) -> tuple[Score, Entries, dict[str, Any]]:
    """The replaced tracks play what is new, each in its own register."""
    order = sorted(replaced, key=lambda i: (-float(score.tracks[i].notes["pitch"].mean()), i))
    players = [_player_of(score.tracks[i]) for i in order]
    parts = dict(zip(order, deal(*written, players), strict=True))
    new, entries = list(score.tracks), [dict(entry) for entry in tracks]
    report["written"] = []
    for i, kept in left.items():
        part = parts.get(i, kept[:0])
        new[i] = replace(new[i], notes=join([kept, part]))
        entries[i]["notes"] = len(new[i].notes)
        if i in parts:
            report["written"].append({"track": i, "name": new[i].name, "notes": len(part)})
    report["changed"] = _changed(report)
    return replace(score, tracks=tuple(new)), entries, report


def _player_of(track: Track) -> Player:
    """The player that a track of the piece is; one whose notes never overlap plays lines."""
    end = track.notes["onset_tick"].astype(np.int64) + track.notes["duration_tick"]
    line = bool((end[:-1] <= track.notes["onset_tick"][1:] + STEP_TICKS // 8).all())
    return Player(track.name, track.program, *program_range(track.program), line)


def _by_the_band(
    score: Score,
    tracks: Entries,
    left: dict[int, np.ndarray],
    band: Band,
    chosen: Chosen,
    written: tuple[np.ndarray, np.ndarray],
    report: dict[str, Any],
) -> tuple[Score, Entries, dict[str, Any]]:
    """The players of the style play what is new, in tracks of their own."""
    new: list[Track] = []
    entries: Entries = []
    for i, (track, entry) in enumerate(zip(score.tracks, tracks, strict=True)):
        notes = left.get(i, track.notes)
        if i in left and not (len(notes) or track.texts or track.sysex):
            continue
        if i in chosen.melodies and i not in left and band.lead and not band.keep_instruments:
            track, said = _led(track, band.lead, alone=len(chosen.melodies) == 1)
            report["lead"] = {"track": len(new), **said}
        new.append(replace(track, notes=notes))
        entries.append(
            entry | {"notes": len(notes), "program": track.program} if len(notes) else entry | {"notes": 0}
        )
    players: Sequence[Player] = band.players
    channels = free_channels((t.channel for t in new), len(players))
    if not channels:
        reason = "all MIDI channels are taken, so there is none for the new accompaniment"
        report.pop("lead", None)
        return score, tracks, report | {"replaced": [], "reason": reason}
    if len(channels) < len(players):
        note = "too few free MIDI channels for each player; the first instrument plays all"
        report["note"] = "; ".join(filter(None, [report.get("note"), note]))
        first = players[0]
        players = [Player(first.name, first.program, *program_range(first.program))]
    report["written"] = []
    for part, player, channel in zip(deal(*written, players), players, channels, strict=False):
        name = f"{player.name} ({band.name})"
        new.append(Track(name=name, channel=channel, program=player.program, notes=part))
        entries.append(_entry(new[-1], player is players[-1] and player.line and len(players) > 1))
        report["written"].append({"track": len(new) - 1, "name": name, "notes": len(part)})
    report["changed"] = _changed(report)
    return replace(score, tracks=tuple(new)), entries, report


def _led(track: Track, lead: Player, alone: bool) -> tuple[Track, dict[str, Any]]:
    """The melody's track as the lead of the style plays it, where that can."""
    pitch = track.notes["pitch"]
    if not alone:
        return track, {"reason": "there are several melodies, so each keeps its instrument"}
    if int(pitch.min()) < lead.lowest or int(pitch.max()) > lead.highest:
        return track, {"reason": f"the melody leaves the range of {lead.name}, so it keeps its instrument"}
    events = track.controls
    sound = (events["status"] == PROGRAM_CHANGE) | (
        (events["status"] == CONTROL_CHANGE) & np.isin(events["data1"], _BANK_SELECT)
    )
    return replace(track, program=lead.program, controls=events[~sound]), {"played_by": lead.name}


def _entry(track: Track, is_bass: bool) -> dict[str, Any]:
    """The entry of `record["tracks"]` for a new track."""
    return {
        "name": track.name,
        "channel": track.channel,
        "program": track.program,
        "notes": len(track.notes),
        "role": "bass" if is_bass else "chords",
        "human_timing": False,
        "nomml": None,
    }


def _changed(report: dict[str, Any]) -> dict[str, int]:
    return {
        "notes_removed": sum(entry["notes"] for entry in report["replaced"]),
        "notes_written": sum(entry["notes"] for entry in report["written"]),
    }
