"""The figures of `training.melody.evaluate` as the tables of a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.melody.evaluate import BOOKS

LABELS = {
    "model": "**this model**",
    "model_told_style": "this model, told the style",
    "model_told_chords": "this model, told the chords",
    "reference": "MelodyRNN's architecture",
    "reference_told_style": "MelodyRNN's architecture, told the style",
    "markov": "order-2 Markov, pitch then duration",
    "markov_joint": "order-2 Markov, joint events",
    "repetition": "repetition of the bars before",
}
_RANKED = ("hits@1", "hits@5", "map")
_DIFFERENCES = {
    "nats_per_note": "nats",
    "top_1": "top-1",
    "hits@1": "HITS@1",
    "hits@5": "HITS@5",
    "map": "MAP",
    "gain_hits@1": "HITS@1, gain",
    "gain_hits@5": "HITS@5, gain",
    "gain_map": "MAP, gain",
}
_OVERLAP = {
    "pitch_class": "pitch class",
    "interval": "interval",
    "ioi": "onset interval",
    "duration": "duration",
}


def markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines)


def tables(metrics: Mapping[str, Any]) -> str:
    """All tables, each below its heading and a sentence that says what it shows."""
    places = {name: _say(own) for name, own in metrics["places"].items()}
    gain = [f"gain_{key}" for key in _RANKED]
    parts = [
        "### Next note",
        "Whole tunes from the first note on, style and chords unknown unless said; the cost of rests is\n"
        "counted into the notes. Nats a note, pitch and duration:",
        _by_corpus(metrics["whole_tunes"], ["nats_per_note"], ".3f"),
        "Top-1, share of notes whose likeliest pitch / duration / both are right:",
        _by_corpus(metrics["whole_tunes"], ["top_1_pitch", "top_1_duration", "top_1"], ".3f"),
        "### The next four bars",
        "The true next four bars among 50, the others of other tunes in the same meter, relative to their\n"
        f"keys, of the same corpus while it has any ({places['continuation']}).\n"
        "By the mean log-probability an event, HITS@1 / HITS@5 / MAP (chance .02 / .10 / .09):",
        _by_corpus(metrics["continuation"], _RANKED, ".2f"),
        "By how much more likely the context makes them, which does not prefer what is likely anywhere:",
        _by_corpus(metrics["continuation"], gain, ".2f"),
        "### Gaps of two bars",
        "Two bars before a note are taken out; this model knows what goes before and comes after. The\n"
        "reference goes one way: it is asked for the fill alone, and for fill and two bars after it,\n"
        f"and of each figure the better one is shown ({places['infilling']}).\n"
        "Nats a note / top-1 of what stood there:",
        _by_corpus(metrics["infilling"], ["nats_per_note", "top_1"], ".3f"),
        "The true two bars among 50, HITS@1 / HITS@5 / MAP, by log-probability:",
        _by_corpus(metrics["infilling"], _RANKED, ".2f"),
        "and by how much more likely the context makes them:",
        _by_corpus(metrics["infilling"], gain, ".2f"),
        "### Against the reference",
        "This model less the reference, nats as a share of the reference's, with 95 % intervals over tunes;\n"
        "figures in bold are not better.",
        *(
            f"{name}:\n\n{_differences(metrics['against_reference'][key])}"
            for key, name in (
                ("whole_tunes", "Whole tunes"),
                ("continuation", "The next four bars"),
                ("infilling", "Gaps"),
            )
        ),
        "### What it writes",
        "Mean overlap area of histograms of four bars written at temperature 1 and the true ones:",
        _overlap(metrics["overlap_area"]),
    ]
    return "\n\n".join(parts)


def _corpora(row: Mapping[str, Any]) -> list[str]:
    """All, the corpora, then the books."""
    return [*(name for name in row if name not in BOOKS), *(name for name in BOOKS if name in row)]


def _by_corpus(rows: Mapping[str, Any], keys: Sequence[str], style: str) -> str:
    """One row an approach that has the figures, one column a corpus."""
    corpora = _corpora(rows["model"])
    lines = []
    for name, label in LABELS.items():
        if name in rows and all(key in rows[name]["all"] for key in keys):
            cells = [" / ".join(_short(rows[name][c][key], style) for key in keys) for c in corpora]
            lines.append([label, *cells])
    return markdown(["", *corpora], lines)


def _short(value: float, style: str) -> str:
    text = format(value, style)
    return text[1:] if text.startswith("0.") else text


def _differences(rows: Mapping[str, Any]) -> str:
    """One row a corpus, one column a figure."""
    keys = [key for key in _DIFFERENCES if key in rows["all"]]
    lines = []
    for corpus in _corpora(rows):
        cells = []
        for key in keys:
            entry = rows[corpus][key]
            style = "+.1%" if key == "nats_per_note" else "+.3f"
            low, high = (format(bound, style) for bound in entry["interval_95"])
            text = f"{format(entry['value'], style)} ({low} to {high})"
            cells.append(text if entry["better"] else f"**{text}**")
        lines.append([corpus, *cells])
    return markdown(["", *(_DIFFERENCES[key] for key in keys)], lines)


def _overlap(rows: Mapping[str, Any]) -> str:
    corpora = list(rows["model"])
    lines = [
        [LABELS[name], *(" / ".join(_short(row[c][key], ".2f") for key in _OVERLAP) for c in corpora)]
        for name, row in rows.items()
    ]
    return markdown([" / ".join(_OVERLAP.values()), *corpora], lines)


def _say(places: Mapping[str, Any]) -> str:
    """How many places of each corpus, in words."""
    parts = [
        f"{name} {own['places']} places in {own['tunes']} tunes, {own['of_the_same_corpus']:.0%} of the "
        "candidates of its own"
        for name, own in places.items()
    ]
    return "; ".join(parts)
