"""Markov chains of melodies: smoothing against hand counts."""

import pytest

from segue.metrics.markov import KneserNey, MarkovChain


def test_kneser_ney_is_a_distribution_and_matches_hand_counts():
    model = KneserNey(3, 2)
    for context, symbol in [("a", 0), ("a", 0), ("a", 1), ("b", 0)]:
        model.add([(context,), ()], symbol)
    model.close()
    for context in ("a", "b", "never"):
        p = model.distribution([(context,), ()])
        assert p.sum() == pytest.approx(1)
        assert (p > 0).all()
        assert [model.probability([(context,), ()], s) for s in range(3)] == pytest.approx(p.tolist())
    # Longer order: counts of counts n1 = 2, n2 = 1, so the discount is 1/2. Shorter order counts the distinct
    # pairs: symbol 0 after a and b (2), symbol 1 after a (1); n1 = n2 = 1, discount 1/3.
    low = [(2 - 1 / 3) / 3, (1 - 1 / 3) / 3, 0]
    low = [x + (1 / 3) * 2 / 3 / 3 for x in low]
    assert model.distribution([("never",), ()]).tolist() == pytest.approx(low)
    high = [(2 - 0.5) / 3 + 0.5 * 2 / 3 * low[0], (1 - 0.5) / 3 + 0.5 * 2 / 3 * low[1], 0.5 * 2 / 3 * low[2]]
    assert model.distribution([("a",), ()]).tolist() == pytest.approx(high)


@pytest.mark.parametrize("kind", ["joint", "factored"])
def test_a_markov_chain_learns_its_tune(kind):
    events = [(pitch, 6) for pitch in [24, 26, 28, 29, 31, 29, 28, 26] * 8]
    chain = MarkovChain(kind, 50, 31).fit([events])
    known = chain.log_probability([], events)
    assert known[2:].sum() / (len(events) - 2) > -0.5
    strange = [(p + 1, d) for p, d in events]
    assert chain.log_probability([], strange).sum() < known.sum() - 100
