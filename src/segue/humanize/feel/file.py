"""Feels in files: JSON that a musician can read and edit, and the performances that a feel is taken from.

A saved feel is one JSON object. `places` holds one row a drum and place of the bar, as `columns` names them:
beat (from 1) and twelfths of a quarter after it, drum, hits, timing and its spread in ms (positive: late),
velocity and its spread. Other instruments than drums have the drum `any`; null stands for unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from segue.humanize.encoding import CLASSES
from segue.humanize.feel import (
    BPM_DIGITS,
    SWING_DIGITS,
    TIMING_DIGITS,
    VELOCITY_DIGITS,
    Feel,
    Moments,
    bar_places,
    beat_places,
)
from segue.humanize.feel.extract import feel_from_midi
from segue.score import Meter
from segue.stage import InputFile, StageError

FORMAT = 1
COLUMNS = ("beat", "twelfth", "drum", "hits", "timing_ms", "timing_spread", "velocity", "velocity_spread")
#: What a feel without drums calls its only column.
ANY = "any"
#: Tempos that can be given.
SLOWEST_BPM, FASTEST_BPM = 20, 400
MIDI_SUFFIXES = (".mid", ".midi")
AUDIO_SUFFIXES = (".wav", ".flac")


def read_feel(
    file: InputFile, bpm: float | None = None, first_downbeat_s: float | None = None, meter: str | None = None
) -> Feel:
    """The feel in a file: saved, or taken from a performance (MIDI or audio). Raises `StageError`.

    Tempo, first downbeat and meter ("6/8") are for a recording, which does not tell them by itself.
    """
    path = PurePath(file.path)
    suffix = path.suffix.lower()
    if suffix in AUDIO_SUFFIXES:
        from segue.humanize.feel.audio import MOST_S, feel_from_audio

        if bpm is not None and not SLOWEST_BPM <= bpm <= FASTEST_BPM:
            raise StageError(f"{bpm:g} is no tempo of music; give one from {SLOWEST_BPM} to {FASTEST_BPM}")
        if first_downbeat_s is not None and not 0 <= first_downbeat_s <= MOST_S:
            raise StageError(f"{first_downbeat_s:g} is no second of a recording; give where a bar begins")
        return feel_from_audio(file.data, path.stem, bpm, first_downbeat_s, _meter(meter or "4/4"))
    if any(given is not None for given in (bpm, first_downbeat_s, meter)):
        raise StageError("its file tells tempo, bars and meter by itself; give them for recordings alone")
    if suffix == ".json":
        return feel_from_json(file.data)
    if suffix in MIDI_SUFFIXES:
        return feel_from_midi(file.data, path.stem)
    known = " ".join((*MIDI_SUFFIXES, *AUDIO_SUFFIXES, ".json"))
    raise StageError(f"a feel is read from files that end in one of {known}; name one of these")


def feel_summary(feel: Feel) -> str:
    """A line for a terminal: what the feel is of and how far it is from the grid."""
    hits = feel.count > 0
    early_late = np.abs(feel.timing.mean[hits]) @ feel.count[hits] / feel.count.sum()
    what = "drum hits" if feel.knows_drums else "notes" if feel.source == "midi" else "onsets"
    swing = f", swings at {feel.swing:.2f}" if feel.swing else ""
    way = "late" if feel.latency_ms > 0 else "early"
    latency = f" (and all of it {abs(feel.latency_ms):.0f} ms {way}, which is left out)"
    return (
        f"{feel.name}: {feel.count.sum():,} {what} at {np.count_nonzero(hits)} places of a bar of "
        f"{feel.meter.name} at {feel.bpm:g} bpm{swing}; "
        f"on average {early_late:.1f} ms off the grid{latency if feel.latency_ms else ''}"
    )


def feel_to_dict(feel: Feel) -> dict[str, Any]:
    """The feel as it is saved, plain JSON."""
    names = CLASSES if feel.knows_drums else (ANY,)
    parts = (feel.timing.mean, feel.timing.spread, feel.velocity.mean, feel.velocity.spread)
    places = []
    for place, column in zip(*np.nonzero(feel.count), strict=True):
        beat, twelfth = divmod(int(place), feel.beat_places)
        values = [float(part[place, column]) for part in parts]
        known = [value if np.isfinite(value) else None for value in values]
        places.append([beat + 1, twelfth, names[column], int(feel.count[place, column]), *known])
    return {
        "segue_feel": FORMAT,
        "name": feel.name,
        "source": feel.source,
        "meter": feel.meter.name,
        "bpm": feel.bpm,
        "swing": feel.swing,
        "latency_ms": feel.latency_ms,
        "columns": list(COLUMNS),
        "places": places,
    }


def feel_to_json(feel: Feel) -> str:
    """The feel as JSON, one place a line."""
    saved = feel_to_dict(feel)
    places = ",\n".join(f"    {json.dumps(row)}" for row in saved.pop("places"))
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in saved.items()]
    return "\n".join(["{", *lines, '  "places": [', places, "  ]", "}"]) + "\n"


def feel_from_json(data: bytes) -> Feel:
    """The feel in a saved file. Raises `StageError` saying what is wrong in it."""
    try:
        saved = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StageError(f"it is no JSON ({error}); name a feel that `segue groove extract` saved") from None
    if not isinstance(saved, dict) or "segue_feel" not in saved:
        raise StageError("it is JSON but no feel; name one that `segue groove extract` saved")
    if saved["segue_feel"] != FORMAT:
        raise StageError(
            f"it is a feel of format {saved['segue_feel']}, and this version reads {FORMAT}; extract it again"
        )
    try:
        return feel_from_dict(saved)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise StageError(f"it is a feel with a fault ({error!r}); mend it, or extract it again") from None


def _meter(text: str) -> Meter:
    match = re.fullmatch(r"(\d{1,3})/(1|2|4|8|16|32|64|128)", text)
    if match is None or int(match[1]) == 0:
        raise StageError(f"{text} is no meter; write it as 3/4 or 6/8")
    return Meter(0, int(match[1]), int(match[2]))


def feel_from_dict(saved: Mapping[str, Any]) -> Feel:
    """The feel that `feel_to_dict` described."""
    if tuple(saved["columns"]) != COLUMNS:
        raise ValueError(f"columns {saved['columns']}")
    meter = _meter(saved["meter"])
    rows = saved["places"]
    drums = {row[2] for row in rows}
    if not rows or not (drums == {ANY} or drums <= set(CLASSES)):
        raise ValueError(f"drums {sorted(drums)}; known are {', '.join(CLASSES)}, or {ANY} alone")
    names = (ANY,) if drums == {ANY} else CLASSES
    count = np.zeros((bar_places(meter), len(names)), np.int64)
    values = np.full((4, *count.shape), np.nan)
    in_beat = beat_places(meter)
    for beat, twelfth, drum, hits, *numbers in rows:
        place = (beat - 1) * in_beat + twelfth
        if not (beat >= 1 and 0 <= twelfth < in_beat and place < len(count) and hits >= 1):
            raise ValueError(f"place {[beat, twelfth, drum, hits]}")
        cell = place, names.index(drum)
        count[cell] = hits
        values[:, *cell] = [np.nan if number is None else float(number) for number in numbers]
    if np.isinf(values).any() or np.nanmin(values[[1, 3]], initial=0) < 0:
        raise ValueError("a spread below 0 or a number without bounds")
    swing, bpm, latency_ms = saved["swing"], float(saved["bpm"]), float(saved["latency_ms"])
    if not (np.isfinite([bpm, latency_ms]).all() and bpm > 0) or not (swing is None or 0.5 <= swing <= 0.75):
        raise ValueError(f"bpm {bpm}, swing {swing}")
    return Feel(
        name=str(saved["name"]),
        source=str(saved["source"]),
        meter=meter,
        bpm=round(bpm, BPM_DIGITS),
        swing=None if swing is None else round(float(swing), SWING_DIGITS),
        latency_ms=round(latency_ms, TIMING_DIGITS),
        count=count,
        timing=Moments(*(np.round(part, TIMING_DIGITS) for part in values[:2])),
        velocity=Moments(*(np.round(part, VELOCITY_DIGITS) for part in values[2:])),
    )
