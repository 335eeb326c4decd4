"""Walking a network over the units of a piece: choose a pattern, tell it what was chosen, go on."""

from __future__ import annotations

import numpy as np

from segue.runtime import Model

#: Patterns this many nats (before temperature) behind the most likely one are never drawn.
_UNLIKELY = 3.5
#: Logits are rounded to this many decimals, so that ONNX and TFLite decide alike.
_DECIMALS = 3


def walk(
    model: Model,
    features: np.ndarray,
    codebooks: dict[str, np.ndarray],
    silent: np.ndarray,
    same_as: np.ndarray,
    temperature: float,
    strength: float,
    styles: int,
    rng: np.random.Generator,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Patterns and performance for every unit.

    `features` (units, F); `codebooks` {output of the model: bool (patterns, bits)} in the order in which
    their patterns make up a unit, each laid out (steps, slots); `silent` (units,) bool: nothing is played;
    `same_as` (units,): the earlier unit whose choice is taken over, or -1. Temperature 0 takes the most
    likely pattern. Strength 1 takes the network at its word; beyond, what sets the style apart is overdone:
    the network is asked a second time without the style (the first `styles` features), and logits are moved
    away from that answer (classifier-free guidance, Ho and Salimans 2022). Returns {output: indices (units,)}
    and all other outputs of the model by name, (units, ...), which tell how each unit is played.
    """
    units = len(features)
    names = list(codebooks)
    steps = 4
    shaped = [codebooks[n].reshape(len(codebooks[n]), steps, -1).astype(np.float32) for n in names]
    noise = {}
    for name in names:
        size = (units, len(codebooks[name]))
        noise[name] = temperature * rng.gumbel(size=size) if temperature > 0 else None
    codes = np.zeros((len(names), units), np.int64)
    given, taken = next(iter(model.card["state"].items()))
    others = [name for name in model.card["outputs"] if name not in (*names, given)]
    told: dict[str, list[np.ndarray]] = {name: [] for name in others}
    features = np.ascontiguousarray(features, np.float32)
    bits = sum(part[0].size for part in shaped)
    previous = np.zeros((1, bits), np.float32)
    state, plain_state = model.zero_state(), model.zero_state()
    styleless = np.ones((1, features.shape[1]), np.float32)
    styleless[:, :styles] = 0
    steered = [name for name in model.card["outputs"] if name not in (given, "performance")]
    for unit in range(units + 1):
        # After the last unit one more step tells how that unit is played; its features do not matter.
        heard = features[min(unit, units - 1)][None]
        out = model(previous=previous, features=heard, **state)
        state = {taken: out[given]}
        if strength != 1:
            plain = model(previous=previous, features=heard * styleless, **plain_state)
            plain_state = {taken: plain[given]}
            for name in steered:
                out[name] = plain[name] + strength * (out[name] - plain[name])
        for other in others:
            told[other].append(out[other][0])
        if unit == units:
            break
        if silent[unit]:
            previous = np.zeros((1, bits), np.float32)
            continue
        if same_as[unit] >= 0:
            codes[:, unit] = codes[:, same_as[unit]]
        else:
            for i, name in enumerate(names):
                codes[i, unit] = _choose(out[name][0], noise[name], unit)
        chosen = [part[code] for part, code in zip(shaped, codes[:, unit], strict=True)]
        joined = chosen[0] if len(chosen) == 1 else np.concatenate(chosen, axis=1)
        previous = joined.reshape(1, bits)
    return dict(zip(names, codes, strict=True)), {name: np.stack(rows[1:]) for name, rows in told.items()}


def draw(logits: np.ndarray, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """One class for each row of logits (..., classes), by the same rules: int64 (...)."""
    logits = np.round(logits, _DECIMALS)
    if temperature == 0:
        return logits.argmax(axis=-1)
    likely = logits > logits.max(axis=-1, keepdims=True) - _UNLIKELY
    return np.where(likely, logits + temperature * rng.gumbel(size=logits.shape), -np.inf).argmax(axis=-1)


def _choose(logits: np.ndarray, noise: np.ndarray | None, unit: int) -> int:
    logits = np.round(logits, _DECIMALS)
    if noise is None:
        return int(logits.argmax())
    # The largest of logits plus scaled Gumbel noise is a draw from the softmax at that temperature.
    return int(np.where(logits > logits.max() - _UNLIKELY, logits + noise[unit], -np.inf).argmax())


def phrases_to_replay(bars: int, amount: float) -> np.ndarray:
    """Which bars are re-played, bool (bars,): whole four-bar phrases, spread evenly, `amount` of them all."""
    phrase = np.arange(bars) // 4
    return np.floor((phrase + 1) * amount + 1e-9) > np.floor(phrase * amount + 1e-9)
