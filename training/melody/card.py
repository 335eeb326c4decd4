"""The card of the melody model: front matter and prose from the measured figures."""

from __future__ import annotations

from typing import Any

from segue.complete.encoding import FEATURES

DATA = [
    {
        "name": "Tunebooks: Ryan's Mammoth Collection, O'Neill's Music of Ireland, Aird's Airs",
        "licence": "public domain sources",
        "attribution": "ABC transcriptions credited in the Z: lines of the books "
        "(among others John Chambers, Jack Campin, Norbert Paap, Bob Safranek)",
    },
    {"name": "POP909", "licence": "MIT", "attribution": "Music X Lab (Wang et al. 2020)"},
    {
        "name": "OpenEWLD, public-domain part",
        "licence": "MIT collection of public-domain songs",
        "attribution": "Simonetta et al. 2018",
    },
]


def front_matter(
    metrics: dict[str, Any], summary: dict[str, Any], training: dict[str, Any], latency: dict[str, Any]
) -> dict[str, Any]:
    """The card's front matter beside what the exporter adds."""
    nll = metrics["nll"]
    floors = [nll["markov_2_factored"]["nats_per_note"], nll["markov_2_joint"]["nats_per_note"]]
    return {
        "task": "melody completion: the next note of a monophonic melody",
        "data": DATA,
        "headline": {
            "metric": "NLL in nats a note (pitch and duration, validation)",
            "value": nll["model"]["nats_per_note"],
            "interval_95": nll["model"]["interval_95"],
            "floor": min(floors),
            "better": "lower",
        },
        "metrics": metrics,
        "split": {
            key: summary[key]
            for key in (
                "training_tunes",
                "validation_tunes",
                "training_events",
                "validation_events",
                "groups",
                "tunes_with_a_near_duplicate",
            )
        },
        "training": training,
        "latency_ms": latency,
    }


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(c) for c in row) + " |" for row in lines)


def _likelihood_table(metrics: dict[str, Any]) -> str:
    names = {
        "model": "this model, style unknown",
        "model_told_the_style": "this model, told the style",
        "markov_2_factored": "order-2 Markov, pitch then duration",
        "markov_2_joint": "order-2 Markov, joint events",
    }
    corpora = list(metrics["nll"]["model"]["by_corpus"])
    rows = []
    for key, label in names.items():
        row = metrics["nll"][key]
        rows.append([label, row["nats_per_note"], row["pitch"], row["duration"], *row["by_corpus"].values()])
    return _table(["NLL, nats a note", "all", "pitch", "duration", *corpora], rows)


def _top_table(metrics: dict[str, Any]) -> str:
    top, rank = metrics["top_1"], metrics["ranking"]
    rows = []
    for label, a, b in (
        ("this model", "model", "model"),
        ("order-2 Markov", "markov_2", "markov"),
        ("repetition of 4 bars", "repetition_4_bars", "repetition"),
    ):
        rows.append([label, *top[a].values(), *rank[b].values()])
    head = ["", "top-1 pitch", "duration", "both", "HITS@1 of 50", "HITS@5", "MAP"]
    return _table(head, [*rows, ["chance", "", "", "", 0.02, 0.1, 0.09]])


def _overlap_table(metrics: dict[str, Any]) -> str:
    rows = [["this model, temperature 1", *metrics["overlap_area"]["model"].values()]]
    rows.append(["this model, temperature 0.7", *metrics["overlap_area_default_taste"]["model"].values()])
    rows.append(["order-2 Markov, sampled", *metrics["overlap_area"]["markov"].values()])
    rows.append(["repetition of 4 bars", *metrics["overlap_area"]["repetition"].values()])
    return _table(
        ["overlap area with the truth", "pitch class", "interval", "onset interval", "duration"], rows
    )


def _infill_table(metrics: dict[str, Any]) -> str:
    infill = metrics["infilling"]
    rows = []
    for key, label in (("with_goal", "knowing the note after the gap"), ("without_goal", "not knowing it")):
        step = infill["step_to_next_note"][key]
        rows.append([label, *infill[key].values(), step["mean"], step["over_a_fifth"]])
    truth = infill["step_to_next_note"]["truth"]
    rows.append(["the true music", "", "", "", "", truth["mean"], truth["over_a_fifth"]])
    head = [
        "two-bar gaps",
        "nats a note",
        "HITS@1 of 50",
        "HITS@5",
        "MAP",
        "step into the next note",
        "over a fifth",
    ]
    return _table(head, rows)


def prose(metrics: dict[str, Any], summary: dict[str, Any], front: dict[str, Any]) -> str:
    """The card's text."""
    endings = metrics["endings"]
    onnx, tflite = front["latency_ms"]["onnx"], front["latency_ms"]["tflite"]
    return f"""
# melody: what comes next in a tune

A step-by-step recurrent network that gives p(pitch | past) and p(duration | pitch, past) of the next note or
rest of a melody, and the likelihood that the note before ended a section. The `complete` stage continues
melodies and fills their gaps with it, one small call a note.

## Architecture
`segue/complete/encoding.py` describes the place of the next event by one index in each of
{len(FEATURES)} features: the last events relative to the tonic, the place in bar and phrase, meter,
mode and style, what stood here 1, 2, 4 and 8 bars ago and for how long the melody has agreed with it, what
followed when the last two events came before (as they are, and transposed), and, when a gap is filled, pitch
and distance of the note after it. The sum of the features' embeddings (64) passes a ReLU and one GRU (192);
pitch, duration (for every pitch at once) and section end are read from both. Pitch tokens are semitones from
the tonic nearest to the melody's mean, plus rest; duration tokens are 31 lengths in twelfths of a quarter,
so that sixteenths and triplets are both exact.

Style is hidden in 40 % of the training windows and goals are given in half of them, so that one network works
with and without.

## Data
{sum(summary["tunes"].values())} tunes: {", ".join(f"{n} {c}" for c, n in summary["tunes"].items())}.
Repeated sections of ABC tunes are taken once, with their last ending; POP909 is laid on the beats of its
beat files, later keys of a song moved to the first. Onsets are moved to sixteenths and triplets.
Near-duplicates (same tune under another name, in another key, book or rhythm) were found by interval n-grams
with and without rhythm (see `training/melody/data.py`), {summary["tunes_with_a_near_duplicate"]} tunes have
one; a group is never split. Training: {summary["training_tunes"]} tunes, {summary["training_events"]}
events; validation:
{summary["validation_tunes"]} tunes, {summary["validation_events"]} events. Licences and attribution: see
above.

## Figures on the validation tunes (one seed)
Whole tunes from the first note on; the cost of rests is counted into the notes. The 95 % interval over tunes
of the headline is {front["headline"]["interval_95"]}.

{_likelihood_table(metrics)}

Ranking: the true next four bars against 49 of other validation tunes, same meter and relative to the same
key, by mean log-probability an event; {metrics["ranking"]["queries"]} places.

{_top_table(metrics)}

Mean overlap area of histograms between four bars written and the true ones.

{_overlap_table(metrics)}

Infilling, {metrics["infilling"]["gaps"]} places; steps in semitones, fills at the stage's default taste.

{_infill_table(metrics)}

Endings: the likelihood of a section end tells the last note of a tune from a random inner note with an area
under the ROC of {endings["area_under_roc"]}. With the stage's thresholds
{endings["stage_finished_called_open"]:.1%} of whole tunes are taken for open, and
{endings["stage_open_called_open"]:.1%} of tunes that are cut at a random note within a phrase.

## Latency
One thread, batch of one, median of 200 after warm-up, milliseconds of CPU: a call
{onnx["call"]} (ONNX Runtime) and {tflite["call"]} (TFLite); two bars of 16 notes,
tracking in Python and choice included, {onnx["two_bars_16_notes"]} and {tflite["two_bars_16_notes"]};
hearing the 64 events before them, once a place, {onnx["context_of_64_events"]} and
{tflite["context_of_64_events"]}.

## Intended use and limits
Tonal monophonic melodies of folk, pop and standards in common meters. It knows one key a piece and no
chords; of what follows a gap it knows the first note alone. Meters beyond the common eight (5/4, 7/8) share
one category and are weakly learned. With a wrong key it writes in the wrong key. It likes to repeat what the
melody did before, above all where the melody itself has repeated much; there is no check yet against copying
it.

## What was tried and failed
- A smaller network (GRU 160) without the features for sequences reached 1.71 nats a note after 8 epochs (on
  an earlier split), one of 176 with them 1.68 at the same epoch; which of the two did it was not separated.
- Without the features that look back (lags, match, sequence) the same network, trained 8 epochs, gives 2.59
  nats a note instead of 1.68: a recurrent state of this size does not remember a melody to the note.
- The goal as an input hardly changes the likelihood of what stood in a gap, and alone leads to the next note
  only a little better than nothing. The stage therefore weighs the last pitch before the next note by how
  well that note follows from it; the steps in the table include this.
- A grouping of near-duplicates by runs of intervals with rhythm alone let a reel and its clog, nearly the
  same notes in even and dotted rhythm, fall on both sides of the split; runs without rhythm were added.
"""
