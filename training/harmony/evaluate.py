"""Figures of the model on validation songs, and the floors beside them.

`PYTHONPATH=src:. python -m training.harmony.evaluate --data ../shared/data --links validation` links
the validation songs, for `segue evaluate harmony validation/pop909` and `validation/openewld`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.beats import Grid
from segue.chords import Chord, parse_chord
from segue.harmonize.decode import Hearing, Progression, find_classes, find_colours, hear
from segue.harmonize.encoding import scale_of
from segue.harmonize.keys import keys_by_beat
from segue.metrics import harmony as metrics
from segue.metrics.bootstrap import interval_of_ratio
from segue.runtime import Arrays
from training.harmony.batches import ALL_TRACKS, MELODY_ALONE, song_features
from training.harmony.data import IGNORE, Song, is_validation, load_songs
from training.harmony.floors import Heard, Perceptron, key_by_profile, tonic_everywhere, triad_template
from training.harmony.network import OUTPUTS, HarmonyEnsemble, HarmonyNetwork

Run = Callable[..., Arrays]
HEARD = {"melody": MELODY_ALONE, "all tracks": ALL_TRACKS}


def answers_of(network: HarmonyEnsemble | HarmonyNetwork) -> Run:
    """A network as a function from inputs to outputs by name, as the models of `segue.runtime` are."""

    def answer(features: np.ndarray) -> Arrays:
        with torch.no_grad():
            outputs = network(torch.from_numpy(features))
        return {name: value.numpy() for name, value in zip(OUTPUTS, outputs, strict=True)}

    return answer


def heard_by(run: Run, song: Song, heard: Heard) -> Hearing:
    """What a network says of a song, exactly as the stage asks it."""
    features = song_features(song, *heard)
    return hear(run, features, scale_of(features))


def true_key(song: Song) -> int:
    """The key that holds for most of the song."""
    return int(np.bincount(song.key).argmax())


def decode_song(
    song: Song, hearing: Hearing, progression: Progression, alone: bool
) -> tuple[np.ndarray, list[Chord]]:
    """Class and chord of every beat, decoded as the stage does with `grid: auto`; `alone`: the melody is."""
    grid = song_grid(song)
    classes = find_classes(
        hearing, grid, progression, "auto", np.full(len(song), -1), np.full(len(song), alone)
    )
    return classes, find_colours(classes, hearing, grid, "auto", "full")


def song_grid(song: Song) -> Grid:
    """The beats of a song; a beat that is no downbeat has the number 1, whichever it is."""
    number = np.where(song.place[:, 0] > 0, 0, 1)
    return Grid(np.arange(len(song) + 1), number, np.full(len(song), 4), song.place)


def accuracy(songs: list[Song], classes: list[np.ndarray], labels: str = "strict") -> float:
    """Share of beats in the reference's class: "strict" as mir_eval reduces, "chord" all to the nearest."""
    reference = np.concatenate([getattr(s, labels) for s in songs])
    return metrics.class_accuracy(reference, np.concatenate(classes))


def accuracy_interval(songs: list[Song], classes: list[np.ndarray]) -> tuple[float, float]:
    """95 % bootstrap interval over songs of the strict accuracy."""
    counts = np.array(
        [
            ((s.strict == c)[s.strict >= 0].sum(), (s.strict >= 0).sum())
            for s, c in zip(songs, classes, strict=True)
        ]
    )
    return interval_of_ratio(*counts.T, draws=1000)


def quick_figures(network: HarmonyEnsemble | HarmonyNetwork, songs: list[Song]) -> str:
    """Accuracy, NLL and key of melody alone and of all tracks, before decoding, in one line."""
    run = answers_of(network.eval())
    parts = []
    for name, heard in HEARD.items():
        hearings = [heard_by(run, song, heard) for song in songs]
        classes = [h.chord.argmax(axis=1) for h in hearings]
        chord, strict = np.concatenate([h.chord for h in hearings]), np.concatenate([s.strict for s in songs])
        key = np.mean(
            [h.key.sum(axis=0).argmax() == true_key(s) for h, s in zip(hearings, songs, strict=True)]
        )
        parts.append(
            f"{name} {100 * accuracy(songs, classes):.2f} % "
            f"NLL {metrics.negative_log_likelihood(strict, chord):.3f} key {100 * key:.1f} %"
        )
    return " | ".join(parts)


def choose_weight(songs: list[Song], hearings: list[Hearing], counts: np.ndarray) -> float:
    """The progression's weight with the best accuracy from the melody alone."""
    options = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
    scores = []
    for weight in options:
        progression = Progression.from_card({"counts": counts, "weight": weight})
        scores.append(
            accuracy(
                songs, [decode_song(s, h, progression, True)[0] for s, h in zip(songs, hearings, strict=True)]
            )
        )
        print(f"progression weight {weight}: {100 * scores[-1]:.2f} %")
    return options[int(np.argmax(scores))]


def chord_figures(
    songs: list[Song], hearings: list[Hearing], progression: Progression, alone: bool
) -> dict[str, Any]:
    """Every figure of METRICS.md's harmony section for one kind of hearing, percentages as 0..100."""
    strict = np.concatenate([s.strict for s in songs])
    log_p = np.concatenate([h.chord for h in hearings])
    decoded = [decode_song(s, h, progression, alone) for s, h in zip(songs, hearings, strict=True)]
    classes, chords = [d[0] for d in decoded], [d[1] for d in decoded]
    low, high = accuracy_interval(songs, classes)
    labels = [label for s in songs for label in s.labels]
    estimate = [c.harte() for song in chords for c in song]
    sevenths, counted = metrics.reduced_accuracy(labels, estimate, "sevenths")
    figures = {
        "accuracy": percent(accuracy(songs, classes)),
        "interval": [percent(low), percent(high)],
        "accuracy_undecoded": percent(accuracy(songs, [h.chord.argmax(axis=1) for h in hearings])),
        "accuracy_all_beats": percent(accuracy(songs, classes, "chord")),
        "sevenths": percent(sevenths),
        "sevenths_beats": counted,
        "nll": round(metrics.negative_log_likelihood(strict, log_p), 3),
        "changes_per_bar": round(4 * float(np.mean(np.concatenate([np.diff(c) != 0 for c in classes]))), 2),
    }
    if all((s.key != IGNORE).all() for s in songs):
        local = [keys_by_beat(h.key, song_grid(s)) for s, h in zip(songs, hearings, strict=True)]
        keys = [int(np.bincount(k).argmax()) for k in local]
        weighted, plain = metrics.key_scores([true_key(s) for s in songs], keys)
        right = np.concatenate(local) == np.concatenate([s.key for s in songs])
        figures |= {
            "key": percent(plain),
            "key_weighted": percent(weighted),
            "key_by_beat": percent(right.mean()),
            "keys_a_song": round(1 + float(np.mean([(np.diff(k) != 0).sum() for k in local])), 2),
        }
    return figures | {"quality": quality_figures(songs, chords)}


def quality_figures(songs: list[Song], chords: list[list[Chord]]) -> dict[str, float]:
    """CHE, CC, CTD, CTnCTR, PCS and MCTD: the mean over songs."""
    rows = [metrics.quality(*song.notes.T, sequence) for song, sequence in zip(songs, chords, strict=True)]
    return {name: round(value, 3) for name, value in metrics.mean_quality(rows).items()}


def human_quality(songs: list[Song]) -> dict[str, float]:
    """The same figures of the reference chords."""
    return quality_figures(songs, [[parse_chord(label) for label in s.labels] for s in songs])


def floor_figures(training: list[Song], songs: list[Song]) -> dict[str, Any]:
    """Floors on the same songs: accuracy in percent by name, for melody and all tracks; keys by profile."""
    figures: dict[str, Any] = {}
    rules: dict[str, Callable[[Song], np.ndarray]] = {
        "tonic everywhere, true key given": tonic_everywhere,
        "triad template, all tracks": triad_template,
    }
    for name, heard in HEARD.items():
        rules[f"8.9k MLP over ±4 beats, {name}, true key given"] = Perceptron(training, heard)
    for name, rule in rules.items():
        classes = [rule(s) for s in songs]
        figures[name] = {
            "accuracy": percent(accuracy(songs, classes)),
            "accuracy_all_beats": percent(accuracy(songs, classes, "chord")),
        }
    for name, heard in HEARD.items():
        weighted, plain = metrics.key_scores(
            [true_key(s) for s in songs], [key_by_profile(s, heard) for s in songs]
        )
        figures[f"key by Albrecht-Shanahan profile, {name}"] = {
            "key": percent(plain),
            "key_weighted": percent(weighted),
        }
    return figures


def percent(share: float) -> float:
    """A share as a percentage with two decimals."""
    return round(100 * float(share), 2)


def link_validation(songs: list[Song], data: Path, out: Path) -> int:
    """Links to the validation songs of POP909 and OpenEWLD in `out`, by data set; returns how many there are.

    The other data have no chords that people wrote in a form that `segue evaluate` reads.
    """
    chosen = [song for song in songs if is_validation(song) and song.corpus in ("pop909", "openewld")]
    for song in chosen:
        found = next(p for p in (data / song.name, data / f"{song.name}.mxl") if p.exists())
        link = out / found.relative_to(data)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(found.resolve())
    return len(chosen)


def main() -> None:
    """Gather the validation songs."""
    from training.harmony.train import RUNS

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with pop909 and openewld")
    parser.add_argument("--links", type=Path, required=True, help="folder for the links")
    options = parser.parse_args()
    count = link_validation(load_songs(options.data, RUNS), options.data, options.links)
    print(f"{count} validation songs in {options.links}")


if __name__ == "__main__":
    main()
