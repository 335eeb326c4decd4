"""Train, measure and export the model `drums-style`.

`PYTHONPATH=src:. python -m training.transfer.drums.train --data ../shared/data --out models/drums-style`
"""

from __future__ import annotations

import time
from functools import partial

from segue.transfer.kit import STYLES
from training.transfer.drums.data import load_drums
from training.transfer.drums.evaluate import MEASURES, evaluate
from training.transfer.drums.fit import fit
from training.transfer.export import export_units
from training.transfer.report import (
    front_matter,
    mean_point,
    measure,
    prepare,
    prose_fields,
    training_seconds,
)

MINUTES = 6
EPOCHS = 8
COMMAND = (
    "PYTHONPATH=src:. python -m training.transfer.drums.train "
    "--data ../shared/data --out models/drums-style --seed 0"
)
DATA = [
    {
        "name": "Groove MIDI Dataset v1.0.0",
        "licence": "CC BY 4.0",
        "attribution": "Gillick, Roberts, Engel, Eck, Bamman 2019; Google Magenta",
    }
]

PROSE = """
# drums-style

Plays the drums of a piece in another style: rock, funk, jazz, latin, hiphop or afrobeat. The transfer stage
uses it.

## Architecture

The music is read beat by beat on a grid of four steps and nine drum classes (Gillick et al. 2019). 256
patterns of one beat were chosen from the training data as medoids (greedy facility location over Jaccard
distances of hits and of rhythm); they are in the front matter. A GRU with 80 units walks over the piece: it
hears the style, the place in bar and phrase, the tempo, how busy and how unlike the source's usual bar its
beat is, its share of toms, its crashes, and where it strikes kick and a strong snare (withheld in half of
the training windows), and the patterns just played; it gives logits over the patterns, and velocity,
loudness class and timing offset of every hit of the beat before, so swing and touch are those of the style.
{parameters} parameters.

## Data

{pieces} recordings of beats in 4/4 of the Groove MIDI Dataset (CC BY 4.0) whose first-named style is one of
the six; its own train and validation split.

## Validation

Network: {nats:.3f} nats a beat; floor (each style's own frequencies, style given) {floor:.3f}. One seed.

Points in the plane of content and fit. Content (ours, drums have no chroma): mean cosine by bar of hits in
sixteenth steps and three groups (kick; snare and toms; hats and cymbals). Fit: mean of the cosines of
onset-by-drum (twelfths of a beat) and onset-by-velocity histograms with those of the target style.
Validation recordings (32 bars at most) of the other five styles, {sources} transfers; temperature
{temperature}, strength {strength}; intervals are bootstraps over pieces. identity: the source itself; copy:
a validation recording of the target style; random: any.

{table}

{verdict}

The same with the skeleton withheld: content {free_content}, fit {free_fit} (means over styles), against
{content} and {fit} with it, which the stage uses.

A softmax regression on the two histograms, trained on training recordings and unknown to the transfer,
tells the six styles apart with accuracy {classifier_accuracy} on validation. It takes the transfer for the
target in these shares: {taken}. S (Brunner et al. 2018) = {strength_S} {strength_interval}; identity has 0.

## Latency

One step (a beat), one thread, batch of one, median after warm-up, process start excluded: {onnx} ms ONNX,
{tflite} ms TFLite.

## Intended use and limits

For kits on the General MIDI percussion channel. Learned from 4/4; 3/4 takes its first beats, and in 6/8 and
12/8 a step pattern is played over the dotted beat as a shuffle. hiphop and afrobeat rest on few drummers,
and their validation on one and two recordings. Percussion outside the kit is left as it is.

## Tried and left out

Temperature and strength were chosen on these validation recordings. At temperature 0 jazz is dominated by
identity. The onset-by-drum cosine of jazz is no better than identity's; what lifts it is the touch.

Velocities by regression alone: their mean is never a ghost note nor an accent, and the onset-by-velocity
cosine stayed under that of identity (0.48 against 0.57). Without guidance (strength 1): fit 0.63 where
strength 2 gave 0.65, and the classifier took fewer pieces for the target. Without dropout the network
overfits after three epochs.
"""


def main() -> None:
    """The whole of it."""
    args = prepare("drums-style")
    begin = time.process_time()
    pieces = load_drums(args.data)
    fitted = fit(pieces, args.run, args.seed, MINUTES, EPOCHS)
    seconds = training_seconds(args.run, begin)
    export = partial(export_units, name="drums-style", playing="loudness")
    figures = measure(
        fitted,
        export,
        args.run / "draft",
        lambda model, **settings: evaluate(pieces, {"drums": model}, STYLES, **settings),
        MEASURES,
        {"skeleton_withheld": {"drum_skeleton": False}, "temperature_0": {"temperature": 0.0}},
    )
    training = {"command": COMMAND, "seconds": seconds, "seed": args.seed}
    card = front_matter(
        "style transfer of drums", DATA, figures, training, headline=MEASURES, pattern="beat", step="beat"
    )
    free = figures.variants["skeleton_withheld"]
    prose = PROSE.format(
        pieces=len(pieces),
        content=mean_point(figures.summary, "transfer", "content"),
        fit=mean_point(figures.summary, "transfer", "fit"),
        free_content=mean_point(free, "transfer", "content"),
        free_fit=mean_point(free, "transfer", "fit"),
        **prose_fields(fitted, figures, MEASURES),
    )
    export(fitted, args.out, card, prose)


if __name__ == "__main__":
    main()
