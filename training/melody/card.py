"""The card of the melody model: front matter and prose from the measured figures."""

from __future__ import annotations

from typing import Any

from segue.complete.features import FEATURES
from training.melody.evaluate import SETTINGS, brief
from training.melody.tables import markdown, tables

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
    {
        "name": "Weimar Jazz Database",
        "licence": "MIT (jazzodata) over ODbL 1.0 (Jazzomat)",
        "attribution": "The Jazzomat Research Project (Pfleiderer et al. 2017)",
    },
    {
        "name": "OpenScore Lieder, vocal lines",
        "licence": "CC0 1.0",
        "attribution": "OpenScore Lieder Corpus (Gotham and Jonas 2022)",
    },
]


def front_matter(
    metrics: dict[str, Any],
    summary: dict[str, Any],
    training: dict[str, Any],
    latency: dict[str, Any],
    copies: dict[str, Any],
) -> dict[str, Any]:
    """The card's front matter beside what the exporter adds."""
    whole = metrics["whole_tunes"]
    floors = [whole[name]["all"]["nats_per_note"] for name in ("markov", "markov_joint")]
    return {
        "task": "melody completion: the next note of a monophonic melody",
        "data": DATA,
        "headline": {
            "metric": "NLL in nats a note (pitch and duration, validation)",
            "value": whole["model"]["all"]["nats_per_note"],
            "interval_95": metrics["interval_95"],
            "floor": min(floors),
            "record": whole["reference"]["all"]["nats_per_note"],
            "better": "lower",
        },
        "metrics": brief(metrics),
        "split": {
            key: summary[key]
            for key in (
                "training_tunes",
                "validation_tunes",
                "training_events",
                "validation_events",
                "groups",
                "tunes_with_a_near_duplicate",
                "largest_group",
            )
        },
        "copies": copies,
        "training": training,
        "latency_ms": latency,
    }


def _latency_table(latency: dict[str, dict[str, float]]) -> str:
    names = {
        "call": "one call",
        "call_of_8": "one call for eight continuations",
        "context_of_64_events": "hearing the 64 events before a place, once",
        "two_bars_16_notes": "writing 16 notes, about two bars",
        "two_bars_16_notes_8_times": "the same in eight ways at once",
    }
    rows = [[label, f"{latency['onnx'][k]:.3f}", f"{latency['tflite'][k]:.3f}"] for k, label in names.items()]
    return markdown(["ms", "ONNX Runtime", "TFLite"], rows)


def _solos(metrics: dict[str, Any]) -> str:
    """Where the model is least ahead of the reference, in words."""
    found = [metrics["against_reference"][name].get("weimar-jazz") for name in SETTINGS]
    if None in found:
        return ""
    shares = [f"{-100 * own['nats_per_note']['value']:.1f} %" for own in found]
    return (
        "Solos are where it is least ahead of the\nreference, too little for a bar of 8 %: "
        f"{shares[0]} fewer nats on whole tunes, {shares[1]} in continuations, {shares[2]}\nin gaps, "
        "and there the true bars rank no higher by log-probability. What a soloist plays next hangs\nless on "
        "what came before than in other music; both networks learn it by heart soon. "
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def prose(metrics: dict[str, Any], summary: dict[str, Any], front: dict[str, Any]) -> str:
    """The card's text."""
    endings, copies = metrics["endings"], front["copies"]
    in_index = ", ".join(f"{style} {_percent(share)}" for style, share in copies["of_validation"].items())
    return f"""
# melody: what comes next in a tune

A step-by-step recurrent network that gives p(pitch | past) and p(duration | pitch, past) of the next note or
rest of a melody, and the likelihood that the note before ended a section; where a gap is filled, all of it
given what comes after the gap. The `complete` stage continues, fills and varies melodies with it, one small
call a note for any number of variations.

## Architecture
`segue/complete/tracker.py` describes the place of the next event by one index in each of {len(FEATURES)}
features: the last events above the tonic, the intervals between them, the range so far, the place in bar and
phrase, meter, mode, style, the chord now and next if there is one, what stood here 1, 2, 4 and 8 bars ago and
for how long the melody has agreed with it, what followed when the last events came before (as they are, at
another pitch, in another rhythm, and the rhythm alone); of the music after a gap, what stands there 1, 2, 4
and 8 bars later, what follows there on events like the last ones, and pitch and distance of its first note.

The sum of the features' embeddings (96) passes a ReLU and one GRU (256). A second GRU (96), run backwards
over the music after a gap, gives the first one a summary of it. Pitch is expected as a step above the tonic
and as an interval from the last note, both added up; pitch, interval and duration (for every pitch at once)
are read from GRU and embedding, and from the features themselves. Pitch tokens are semitones from the tonic
nearest to the melody's mean, plus rest; duration tokens are 31 lengths in twelfths of a quarter, so that
sixteenths and triplets are both exact. What has to be remembered of a melody is the GRU's state and the
tracker's tables: the cost of a note does not grow.

In training, half of the windows are cut into stretches that know nothing of what comes, the next note, or all
that follows; style and chords are hidden in 40 % of the windows each, so that one network works with and
without. Solos are learned in two other keys beside their own in each epoch.

## Data
{sum(summary["tunes"].values())} tunes: {_counts(summary["tunes"])}.
Repeated sections of ABC tunes are taken once, with their last ending; POP909 is laid on the beats of its
beat files, later keys of a song moved to the first; of a song of OpenScore the vocal line, the longest
stretch in one meter and key signature; long silences of solos and vocal lines are cut to one or two bars.
`docs/data.md` tells more. Onsets are moved to sixteenths and triplets.

Near-duplicates (same tune under another name, in another key, book or rhythm) were found by interval n-grams
with and without rhythm, solos over one piece by its title (see `training/melody/data.py`);
{summary["tunes_with_a_near_duplicate"]} tunes have one, the largest group has {summary["largest_group"]}, and
a group is never split. No validation tune shares 18 % of its rare runs of eight intervals, and at least six
runs, with any training tune. Training: {_counts(summary["training_tunes"])},
{summary["training_events"]} events; validation: {_counts(summary["validation_tunes"])},
{summary["validation_events"]} events. Licences and attribution: see above.

## Figures on the validation tunes (one seed)
Weights as they are shipped. The 95 % interval over tunes of the headline is
{front["headline"]["interval_95"]}. The reference is [MelodyRNN's architecture](../melody-reference/card.md),
trained by the same script on the same tunes, solos in other keys included.

{tables(metrics)}

Endings: the likelihood of a section end tells the last note of a tune from a random inner note with an area
under the ROC of {endings["area_under_roc"]}. With the stage's thresholds
{_percent(endings["stage_finished_called_open"])} of whole tunes are taken for open, and
{_percent(endings["stage_open_called_open"])} of tunes that are cut at a random note within a phrase.

## Copies
`copies.npz` ({copies["kib"]} KiB) tells which runs of eight notes, by interval and rhythm, are in the
training tunes: {copies["grams"]} of them, as hashes that no tune can be read from. A run that is in none is
taken for one of them in {100 * copies["false_positives"]:.2f} % of cases. Of the runs in the validation tunes
these shares are in the index: {in_index}. Folk tunes share their turns, so there the guard of the `complete`
stage bites.

## Latency
One thread, batch of one unless told, median of 100 after warm-up, processor time; tracking in Python and
choice included.

{_latency_table(front["latency_ms"])}

## Intended use and limits
Monophonic melodies in one key: folk, pop, standards, jazz lines, songs. Meters beyond the common eight (5/4,
7/8) share one category and are weakly learned. With a wrong key it writes in the wrong key, though intervals
help. It likes to repeat what the melody did before, above all where the melody itself has repeated much. It
knows nothing of words. {_solos(metrics)}The training solos are transcriptions: swung eighths stand in them
now even, now as triplets.

## What was tried and failed
- Without the features that look back (lags, match, sequence) an earlier network of this kind gave 2.59 nats a
  note instead of 1.68 on the first three corpora: a recurrent state of this size does not remember a melody
  to the note.
- The note after a gap as the only knowledge of what follows hardly changes the likelihood of what stood in it
  (1.477 instead of 1.481, earlier network).
- Reading pitch and duration from GRU and embedding alone, without the features themselves, is 2.6 % worse
  after four epochs; without intervals from the last note 2.4 % worse after two (solos, songs and lead
  sheets).
- Solos in their own keys alone: 3.93 nats a note after three epochs, 3.86 after two with other keys.
- What a head of the chord's own would add (pitch as a step above the chord's root) is 0.5 % on solos and 1 %
  on lead sheets that have chords. Features blanked out in further epochs lower solos by 0.7 % where nothing
  else is learned in these, and do not help the rest. Neither is in.
- A grouping of near-duplicates by runs of intervals with rhythm alone let a reel and its clog, nearly the
  same notes in even and dotted rhythm, fall on both sides of the split; runs without rhythm were added. Runs
  that are mostly one repeated note joined tunes that are not alike; they no longer count.
"""
