"""What the data set holds of each style, and how the network does there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segue.humanize.encoding import STYLES
from training.groove.data import Holdings, Windows, holdings
from training.groove.learn import guess_style, predict, score_all
from training.groove.network import GrooveNetwork


def style_table(network: GrooveNetwork, folder: Path, validation: Windows) -> str:
    """The card's table of styles, and the accuracy of the guess."""
    known, asked = holdings(folder, "train"), holdings(folder, "validation")
    plain = predict(network, validation)
    told = predict(network, validation, style=validation.style)
    guess = guess_style(network, validation)
    take_style = np.array(validation.styles)
    _, first = np.unique(validation.piece, return_index=True)
    right = np.array([STYLES[i] for i in guess[first].argmax(1)]) == take_style[validation.piece[first]]
    lines = [
        "| style | training takes, minutes, drummers | offered | validation takes "
        "| MAE ms, MSE, velocity MAE | style given | guessed right |",
        "|---|---|---|---|---|---|---|",
    ]
    for style in [*known, *sorted(set(asked) - set(known))]:
        have = known.get(style, Holdings())
        rows = np.flatnonzero(take_style[validation.piece] == style)
        offered, figures = style in STYLES, ["", "", ""]
        if len(rows):
            figures[0] = _figures(score_all(validation, *plain, rows))
            mine = take_style[validation.piece[first]] == style
            if offered:
                figures[1] = _figures(score_all(validation, *told, rows))
                figures[2] = f"{right[mine].sum()} of {mine.sum()}"
        takes = asked[style].takes if style in asked else 0
        lines.append(
            f"| {style} | {have.takes}, {have.minutes:.0f}, {len(have.drummers)} | "
            f"{'yes' if offered else 'no'} | {takes} | " + " | ".join(figures) + " |"
        )
    of_ten = np.isin(take_style[validation.piece[first]], STYLES)
    common = np.mean(take_style[validation.piece[first]][of_ten] == STYLES[0])
    return "\n".join(lines) + (
        f"\n\nThe guess is right for {right[of_ten].sum()} of the {of_ten.sum()} validation takes of the ten "
        f"styles ({right[of_ten].mean():.0%}; always saying {STYLES[0]} is right for {common:.0%})."
    )


def _figures(row: dict[str, float]) -> str:
    return f"{row['timing_mae_ms']:.2f}, {row['timing_mse']:.4f}, {row['velocity_mae']:.1f}"
