"""Train, measure and export the model `accompaniment`.

Run as `PYTHONPATH=src:. python -m training.transfer.accompaniment.train` with `--data` and `--out`.
"""

from __future__ import annotations

import time
from functools import partial

from segue.transfer.encoding import STYLES
from training.transfer.accompaniment.evaluate import HEADLINE, MEASURES, evaluate
from training.transfer.accompaniment.fit import fit
from training.transfer.export import export_units
from training.transfer.pieces import load_pieces
from training.transfer.report import front_matter, measure, prepare, prose_fields, training_seconds

MINUTES = 12
EPOCHS = 10
COMMAND = (
    "PYTHONPATH=src:. python -m training.transfer.accompaniment.train "
    "--data ../shared/data --out models/accompaniment --seed 0"
)
DATA = [
    {"name": "POP909", "licence": "MIT", "attribution": "Wang et al. 2020, Music X Lab"},
    {"name": "OpenScore Lieder Corpus", "licence": "CC0 1.0", "attribution": "OpenScore"},
    {"name": "OpenScore String Quartets", "licence": "CC0 1.0", "attribution": "OpenScore"},
    {
        "name": "JSB chorales",
        "licence": "public domain music, repository states none",
        "attribution": "J. S. Bach; Boulanger-Lewandowski et al. 2012",
    },
    {"name": "Open Hymnal", "licence": "public domain", "attribution": "Brian J. Dumont"},
]

PROSE = """
# accompaniment

Writes a piece's pitched accompaniment anew in one of four styles: pop piano, the piano part of a lied, the
lower voices of a chorale, the lower strings of a quartet. The transfer stage uses it.

## Architecture

The music is read in units of four sixteenths. Pitches are slots: scale degrees above the root of the chord
that sounds, over four octaves, so that a pattern fits every chord. Of all units in the training data, 256
patterns for the low hand and 256 for the high hand were chosen as medoids (greedy facility location over
Jaccard distances of onsets and of rhythm); they are in the front matter. A GRU with 112 units walks over
the piece: it hears the style, the place in bar and phrase, the chord and its motion, the melody, how the
source's bar compares with its piece in density, polyphony, register and loudness (standard scores within
the piece, which tell nothing of the style), and the patterns just played; it gives logits over both hands'
patterns, and velocity and duration for each hand and step of the unit before. {parameters} parameters.

## Data

{pieces} pieces: 819 pop songs (PIANO as accompaniment of MELODY, with the set's chords), every second lied,
the chorales and hymns (three voices under the soprano) and the quartets (three under the first violin).
Chords of all but pop are triads found by template match with smoothing. Split by piece: groups of equal
title or tune stay together; the chorales' own validation part; a fixed tenth of the rest (15 % of the
quartets). Velocities were learned from pop alone, since printed scores have none.

## Validation

Network: {nats:.3f} nats a pattern; floor (each style's own frequencies, style given) {floor:.3f}. One seed.

Points in the plane of content and fit, accompaniment alone, without the melody. Content: mean chroma cosine
with the source's accompaniment. Fit: mean of the cosines of time-by-interval and onset-by-duration
histograms with those of the target style (training pieces). The onset-by-velocity column counts only for
pop; the other targets have no velocities of their own. Sources: {sources} validation pieces (48 bars at
most) of the other three styles; temperature {temperature}, strength {strength}; intervals are bootstraps
over pieces. identity: the source itself; copy: a validation piece of the target style; random: any piece.

{table}

{verdict}

A softmax regression on the two histograms, trained on training pieces and unknown to the transfer, tells
the four styles of validation pieces apart with accuracy {classifier_accuracy}. It takes the transfer for
the target in these shares: {taken}. S (Brunner et al. 2018) = {strength_S} {strength_interval}; identity
has 0.

## Latency

One step (four sixteenths), one thread, batch of one, median after warm-up, process start excluded: {onnx}
ms ONNX, {tflite} ms TFLite. A song of 90 bars takes 360 steps.

## Intended use and limits

For pieces with a chord track or chord symbols, in any meter; 6/8 is walked in sixteenths like 3/4. The grid
has no triplets. Chords come from the stage before and their errors are heard. The styles are those of the
data: 19th century lieder and quartets, Mandarin pop. Not for keeping the source's figures: it keeps chords,
melody and shape.

## Tried and left out

Temperature and strength were chosen on these validation pieces. At temperature 0.9 the lied's fit was
0.731, under identity's 0.738, and its margin is small still: the style is the broadest, and its triplets do
not exist on this grid. At temperature 0 only the chorale is not dominated, since the likeliest pattern
everywhere makes a monotonous part.

Note lengths by regression: means lie between the lengths that are played, and the onset-by-duration cosine
of lied was 0.48. Without guidance (strength 1, temperature 1): fit of pop 0.70 instead of 0.75, of the
chorale 0.82 instead of 0.85, S 0.46 instead of 0.55. Three times the training time: 2.40 nats instead of
2.42. The patterns of both hands are drawn independently given the past; a joint codebook needs far more
patterns.
"""


def main() -> None:
    """The whole of it."""
    args = prepare("accompaniment")
    begin = time.process_time()
    pieces = load_pieces(args.data, args.run.parent / "pieces.pickle")
    fitted = fit(pieces, args.run, args.seed, MINUTES, EPOCHS)
    seconds = training_seconds(args.run, begin)
    export = partial(export_units, name="accompaniment", playing="lengths")
    figures = measure(
        fitted,
        export,
        args.run / "draft",
        lambda model, **settings: evaluate(pieces, {"accompaniment": model}, STYLES, **settings),
        MEASURES,
        {"temperature_0": {"per_style": 6, "temperature": 0.0}},
    )
    training = {"command": COMMAND, "seconds": seconds, "seed": args.seed}
    card = front_matter(
        "style transfer of the pitched accompaniment",
        DATA,
        figures,
        training,
        headline=HEADLINE,
        pattern="pattern",
        step="unit",
    )
    prose = PROSE.format(pieces=len(pieces), **prose_fields(fitted, figures, MEASURES))
    export(fitted, args.out, card, prose)


if __name__ == "__main__":
    main()
