"""What a network expects of melodies, many places at once.

A `Judge` hears what goes before a place (`start`), and then either says how likely events are that might
stand there (`judge`), or what it expects of the next event (`expect`). `ModelJudge` is one over a model as it
is shipped; the training measures its networks by another one with the same methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from segue.complete.features import (
    COLUMN,
    NO_CHORD_ROW,
    OFFSETS,
    READING,
    SIZES,
    WIDTH,
    multi_hot,
    pitch_logits,
)
from segue.runtime import Arrays, Model, log_softmax

#: Windows that are judged in one batch.
_TOGETHER = 256
_SIZE = dict(zip(COLUMN, SIZES, strict=True))
_STYLE_UNKNOWN = OFFSETS["style"] + _SIZE["style"] - 1


@dataclass(frozen=True)
class Prompt:
    """What goes before a place: rows of features (steps, features), and, where the music after it is known,
    that music in the order in which it is read, (steps, len(READING)).
    """

    rows: np.ndarray
    reading: np.ndarray | None = None


@dataclass(frozen=True)
class Window:
    """Events that might stand at the place of prompt number `prompt`: rows of features (steps, features), and
    tokens of pitch and duration (steps, 2).
    """

    prompt: int
    rows: np.ndarray
    tokens: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """Natural log-probabilities of pitch and duration of each event, and the likeliest tokens; (steps, 2)."""

    log_probability: np.ndarray
    top: np.ndarray


class Judge(Protocol):
    """A network that has an opinion."""

    def start(self, prompts: Sequence[Prompt]) -> Any:
        """What the network remembers after each prompt."""
        ...

    def judge(self, heard: Any, windows: Sequence[Window]) -> list[Judgement]:
        """How likely the events are, in the order of `windows`."""
        ...

    def expect(self, heard: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, Any]:
        """Log-probabilities of the next pitch (prompts, pitches), and of each duration with each pitch
        (prompts, pitches, durations), for one row a prompt, (prompts, features); and what is remembered then.
        """
        ...


def hidden(rows: np.ndarray, style: bool, chords: bool) -> np.ndarray:
    """A copy of rows (..., features), int64, in which the `style` or the `chords` are not known."""
    rows = np.array(rows, np.int64)
    if style:
        rows[..., COLUMN["style"]] = _STYLE_UNKNOWN
    if chords:
        rows[..., COLUMN["chord"] : COLUMN["chord"] + len(NO_CHORD_ROW)] = NO_CHORD_ROW
    return rows


def hidden_style(reading: np.ndarray) -> np.ndarray:
    """A copy of music as it is read (steps, len(READING)) whose style is not known."""
    reading = np.array(reading, np.int64)
    reading[:, READING.index("style")] = _STYLE_UNKNOWN
    return reading


def narrowed(rows: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, int]:
    """Rows (..., features) with the features `names` alone, numbered one after the other, and their width."""
    first = np.concatenate([[0], np.cumsum([_SIZE[name] for name in names])])
    moved = first[:-1] - [OFFSETS[name] for name in names]
    return rows[..., [COLUMN[name] for name in names]] + moved, int(first[-1])


@dataclass(frozen=True)
class _Heard:
    """State inputs by name and what was read of the music ahead, one row a prompt."""

    state: Arrays
    ahead: Arrays


class ModelJudge:
    """A judge over a model with a batch axis. Its card may name the `features` that it takes, all if not."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._names: list[str] | None = model.card.get("features")
        self._state: dict[str, str] = model.card["state"]
        self._reads = "ahead" in model.card["inputs"]

    def start(self, prompts: Sequence[Prompt]) -> _Heard:
        """See `Judge`."""
        ahead = self._read(prompts)
        # What comes after a gap is known in the gap, not before it.
        nothing = {name: np.zeros_like(value) for name, value in ahead.items()}
        heard = _Heard(self._model.zero_state(len(prompts)), nothing)
        return _Heard(self._run(heard, [prompt.rows for prompt in prompts])[1].state, ahead)

    def judge(self, heard: _Heard, windows: Sequence[Window]) -> list[Judgement]:
        """See `Judge`."""
        found: list[Judgement | None] = [None] * len(windows)
        order = sorted(range(len(windows)), key=lambda i: len(windows[i].rows))
        for k in range(0, len(order), _TOGETHER):
            part = [windows[i] for i in order[k : k + _TOGETHER]]
            own = [window.prompt for window in part]
            begun = _Heard(*({n: v[own] for n, v in kind.items()} for kind in (heard.state, heard.ahead)))
            judged, _ = self._run(begun, [w.rows for w in part], [w.tokens for w in part])
            for i, judgement in zip(order[k : k + _TOGETHER], judged, strict=True):
                found[i] = judgement
        return [j for j in found if j is not None]

    def expect(self, heard: _Heard, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, _Heard]:
        """See `Judge`."""
        out = self._call(rows, heard.state, heard.ahead)
        state = {given: out[taken] for taken, given in self._state.items()}
        return log_softmax(out["pitch"]), log_softmax(out["duration"]), _Heard(state, heard.ahead)

    def _call(self, rows: np.ndarray, state: Arrays, ahead: Arrays) -> Arrays:
        """The model's outputs for rows (n, features), `pitch` complete."""
        indices, width = (rows, WIDTH) if self._names is None else narrowed(rows, self._names)
        out = self._model(x=multi_hot(indices, width), **state, **ahead)
        if "interval" in out:
            out = {**out, "pitch": pitch_logits(out["pitch"], out["interval"], rows)}
        return out

    def _run(
        self, heard: _Heard, rows: list[np.ndarray], tokens: list[np.ndarray] | None = None
    ) -> tuple[list[Judgement], _Heard]:
        """Go through rows, (steps, features) each, side by side: what is thought of `tokens`, and the state
        after each one's last row.
        """
        lengths = np.array([len(r) for r in rows])
        likely = np.zeros((len(rows), lengths.max(initial=0), 2))
        top = np.zeros(likely.shape, np.int64)
        every = np.arange(len(rows))
        state = heard.state
        for t in range(likely.shape[1]):
            live = lengths > t
            # Those that have ended take any row, and keep their state.
            now = np.array([r[min(t, len(r) - 1)] if len(r) else _any_row() for r in rows])
            out = self._call(now, state, heard.ahead)
            for taken, given in self._state.items():
                own = live.reshape(-1, *[1] * (out[taken].ndim - 1))
                state = {**state, given: np.where(own, out[taken], state[given])}
            if tokens is None:
                continue
            true = np.array([k[min(t, len(k) - 1)] for k in tokens])
            best = out["pitch"].argmax(1)
            given_true = log_softmax(out["duration"][every, true[:, 0]])
            likely[:, t, 0] = log_softmax(out["pitch"])[every, true[:, 0]]
            likely[:, t, 1] = given_true[every, true[:, 1]]
            top[:, t, 0], top[:, t, 1] = best, out["duration"][every, best].argmax(1)
        judged = [Judgement(likely[i, :n], top[i, :n]) for i, n in enumerate(lengths.tolist())]
        return judged, _Heard(state, heard.ahead)

    def _read(self, prompts: Sequence[Prompt]) -> Arrays:
        """The summary of what comes after each prompt, zeros where nothing is known."""
        if not self._reads:
            return {}
        summary = np.zeros((len(prompts), *self._model.card["inputs"]["ahead"][1:]), np.float32)
        readings = [() if prompt.reading is None else prompt.reading for prompt in prompts]
        idle = self._model.zero_state(len(prompts))
        for t in range(max(map(len, readings))):
            x = np.zeros((len(prompts), WIDTH), np.float32)
            live = np.array([t < len(reading) for reading in readings])
            x[live] = multi_hot([reading[t] for reading in readings if t < len(reading)])
            out = self._model(x=x, **idle, ahead=summary)
            summary = np.where(live[:, None], out["ahead_next"], summary)
        return {"ahead": summary}


def _any_row() -> np.ndarray:
    return np.array([OFFSETS[name] for name in COLUMN])
