"""Render: a score becomes a stereo audio file through FluidSynth, at a set loudness.

The last stage; its music is what `score` holds, and it changes nothing of it. `apply` returns the bytes of
the audio file; the finished MIDI is written by the caller, who has it even when FluidSynth is missing.

The modules, in the order of work: `schedule` (score to events), `fluidsynth` (events to samples), `mastering`
with `loudness` (level), `encode` (file).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.render.encode import encode
from segue.render.fluidsynth import (
    MAX_CHANNELS,
    FluidSynthError,
    file_sha256,
    find_soundfont,
    load_library,
    open_synthesizer,
)
from segue.render.mastering import LOSSY_MARGIN_DB, MARGIN_DB, Mastering, master
from segue.render.play import play
from segue.render.schedule import make_schedule
from segue.runtime import Model
from segue.score import Score
from segue.stage import Record, Settings, StageError

VERSION = 1

__all__ = ["VERSION", "RenderResult", "apply", "fingerprint"]


@dataclass(frozen=True)
class RenderResult:
    """A rendered piece: the bytes of an audio file, its suffix (".flac"), and the report.

    `audio` is None for a piece without notes; the report says so under "skipped".
    """

    audio: bytes | None
    suffix: str
    report: dict[str, Any]


def fingerprint(settings: Settings) -> str:
    """What the sound depends on beside score and settings: FluidSynth's version and the SoundFont's hash.

    Part of a cache key. Raises `StageError` when either is missing.
    """
    try:
        library = load_library(settings["library"])
        soundfont = file_sha256(find_soundfont(settings["soundfont"]))
    except FluidSynthError as error:
        raise StageError(str(error)) from error
    return hashlib.sha256(f"{library.version} {soundfont}".encode()).hexdigest()


def apply(
    score: Score, record: Record, settings: Settings, models: Mapping[str, Model], seed: int
) -> RenderResult:
    """Render a piece. `seed` draws the dither; `record` and `models` are not used.

    Raises `StageError` when FluidSynth or the SoundFont is missing, or the piece is longer than allowed.
    """
    suffix = f".{settings['format']}"
    rate = settings["sample_rate"]
    schedule = make_schedule(score, rate)
    if not schedule.notes:
        return RenderResult(None, suffix, {"skipped": [{"reason": "the piece has no notes to play"}]})
    if len(schedule.slots) > MAX_CHANNELS:
        raise StageError(
            f"the piece needs {len(schedule.slots)} instruments at once and FluidSynth has {MAX_CHANNELS}; "
            "split the piece"
        )
    minutes = schedule.end_frame / rate / 60
    if minutes > settings["max_minutes"]:
        raise StageError(
            f"the piece lasts {minutes:.0f} minutes and render.max_minutes allows "
            f"{settings['max_minutes']:g}; raise it, or look for a stray note at the end"
        )
    try:
        library = load_library(settings["library"])
        soundfont = find_soundfont(settings["soundfont"])
        with open_synthesizer(
            library, soundfont, rate, len(schedule.slots), settings["reverb"], settings["chorus"]
        ) as synth:
            sound = play(synth, schedule, rate, settings["tail_s"])
    except FluidSynthError as error:
        raise StageError(str(error)) from error
    margin = LOSSY_MARGIN_DB if settings["format"] == "ogg" else MARGIN_DB
    level = master(
        sound.audio,
        rate,
        settings["loudness_lufs"] if settings["normalize"] else None,
        settings["gain_db"],
        settings["true_peak_dbtp"] - margin,
    )
    silent = not np.any(sound.audio)
    data = encode(
        sound.audio,
        rate,
        settings["format"],
        settings["bit_depth"],
        seed if settings["dither"] and not silent else None,
    )
    report = {
        "audio": {
            "format": settings["format"],
            "sample_rate": rate,
            "bit_depth": None if settings["format"] == "ogg" else settings["bit_depth"],
            "seconds": round(len(sound.audio) / rate, 3),
            "bytes": len(data),
        },
        "synthesizer": {
            "fluidsynth": library.version,
            "soundfont": soundfont.name,
            "soundfont_sha256": file_sha256(soundfont),
            "instruments": len(schedule.slots),
        },
        "notes": {"played": schedule.notes - sound.refused_notes, "refused": sound.refused_notes},
        "tail": {"seconds": round(sound.tail_seconds, 3), "faded_out": sound.cut_tail},
        "level": _level_report(level, settings),
    }
    return RenderResult(data, suffix, report)


def _level_report(level: Mastering, settings: Settings) -> dict[str, Any]:
    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 2)

    return {
        "target_lufs": settings["loudness_lufs"] if settings["normalize"] else None,
        "synthesizer_lufs": rounded(level.measured_lufs),
        "gain_db": rounded(level.gain_db),
        "reached_lufs": rounded(level.reached_lufs),
        "true_peak_dbtp": rounded(level.true_peak_dbtp),
        "limiter": {"most_db": rounded(level.limited_db), "share_of_time": round(level.limited_share, 4)},
        "note": level.note,
    }
