"""How transfers are measured in training, on toy pieces whose answers are known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the training's environment")

from training.transfer.protocol import Measurement, Music, sample, transfer_all

STYLES = ("loud", "soft")


@dataclass(frozen=True)
class Toy:
    """A piece whose histogram is where its style puts its notes, and whose content is `topic`."""

    style: str
    place: int
    topic: int
    notes: int = 8

    @property
    def counts(self):
        return np.eye(4)[self.place] * self.notes


def perfect(piece, style, seed):
    return replace(piece, style=style, place=2 * STYLES.index(style))


def lazy(piece, style, seed):
    return replace(piece, style=style)


def music(transfer):
    return Music(
        styles=STYLES,
        measures=("a", "b"),
        headline=("a",),
        pairs=[STYLES],
        histograms=lambda p: (p.counts, p.counts),
        content=lambda p: np.eye(8)[p.topic],
        similarity=lambda a, b: float(a @ b),
        prints=lambda p: np.array([0, 100 + p.place, 200 + p.topic], np.uint64),
        density=lambda p: float(p.notes),
        bars=lambda p: 4,
        transfer=transfer,
        template=lambda p, style, seed: replace(perfect(p, style, seed), topic=7),
    )


def pieces(per_style, topic=0):
    """Soft pieces lie at 2 and 3, loud ones at 0 and 1."""
    return [Toy(s, 2 * i + k % 2, topic) for i, s in enumerate(STYLES) for k in range(per_style)]


def measured(transfer, held=None):
    held = held or pieces(4, topic=1)
    return Measurement(pieces(6), held, held, music(transfer))


def test_a_perfect_transfer_has_full_strength_and_a_lazy_one_none():
    pair = measured(perfect).pair(*STYLES)
    assert pair["classifier_accuracy"] == 1
    assert pair["S"] > 90
    assert pair["loud to soft"]["pieces"] == 4
    assert pair["loud to soft"]["P"][1] < 0.1 < 0.9 < pair["loud to soft"]["P"][2]
    nothing = measured(lazy).pair(*STYLES)
    assert nothing["S"] == pytest.approx(0, abs=1e-6)
    assert nothing["interval"] == [0, 0]


def test_the_plane_holds_the_transfer_against_template_and_source():
    rows = measured(perfect).plane().rows
    assert len(rows["loud", "soft", "transfer"]) == 4
    # The target is half at 2 and half at 3: a cosine of 1 / sqrt 2 with either.
    piece, content, *fits = rows["loud", "soft", "transfer"][0]
    assert (piece, content) == (0, 1)
    assert fits == pytest.approx([np.sqrt(0.5)] * 2)
    assert rows["loud", "soft", "template"][0][1] == 0  # The template is on another topic.
    assert rows["loud", "soft", "identity"][0][1:] == [1, 0, 0]
    assert rows["soft", "loud", "copy"][0][2:] == pytest.approx([np.sqrt(0.5)] * 2)
    assert ("loud", "loud", "transfer") not in rows


def test_copies_are_counted_over_bars_with_notes():
    # Training pieces are on topic 0, held-out ones on topic 1; places occur in training, so half is copied.
    copies = measured(perfect).copies()
    assert copies["soft"]["written"] == copies["soft"]["held out"] == 0.5
    held = [replace(p, place=p.place + 4, topic=1) for p in pieces(2)]

    def far(piece, style, seed):
        return replace(piece, style=style, place=9, topic=5)

    toy = replace(music(far), histograms=lambda p: (np.ones(4), np.ones(4)))
    copies = Measurement(pieces(6), held, held, toy).copies()
    assert copies["loud"]["written"] == copies["loud"]["held out"] == 0


def test_transfers_to_the_own_style_tell_density_and_opinion():
    def denser(piece, style, seed):
        return replace(perfect(piece, style, seed), notes=piece.notes + (2 if piece.topic == 1 else 4))

    held = [*pieces(2, topic=1), *pieces(2, topic=2)]
    own = measured(denser, held).selves()["loud"]
    assert own["notes_a_beat"] == [8, 11]
    assert own["density_change"] == 0.375
    assert own["density_within"] == 0  # 25 % and 50 % more.
    assert own["opinion_kept"] == 1
    kept = measured(perfect).selves()["soft"]
    assert (kept["density_change"], kept["density_within"]) == (0, 1)


def test_every_source_goes_everywhere_and_back_from_other_styles():
    made = transfer_all(pieces(1), music(lazy))
    assert [(m.source, m.target, m.back is None) for m in made] == [
        (0, "loud", True),
        (0, "soft", False),
        (1, "loud", False),
        (1, "soft", True),
    ]
    assert made[1].back.style == "loud"


def test_a_sample_takes_what_there_is():
    drawn = sample([*pieces(3), Toy("other", 0, 0)], STYLES, 2, np.random.default_rng(0))
    assert [p.style for p in drawn] == ["loud", "loud", "soft", "soft"]
    assert len(sample(pieces(3), STYLES, 9, np.random.default_rng(0))) == 6
