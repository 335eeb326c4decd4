"""The melody's networks in training; runs where PyTorch and pytest are."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training's environment")

from segue.complete.features import FEATURES, OFFSETS, SIZES  # noqa: E402
from segue.complete.judge import Prompt, Window, narrowed  # noqa: E402
from segue.runtime import open_weights  # noqa: E402
from training.common.export import write_onnx, write_tflite  # noqa: E402
from training.common.recurrent import gru_step  # noqa: E402
from training.melody.attention import (  # noqa: E402
    COLUMNS,
    STATE,
    AttendingLayer,
    ReferenceNetwork,
    ReferenceStep,
)
from training.melody.card import front_matter, prose  # noqa: E402
from training.melody.evaluate import BOOKS, endings, measure  # noqa: E402
from training.melody.examples import encode_tune  # noqa: E402
from training.melody.judge import NetworkJudge  # noqa: E402
from training.melody.network import MelodyNetwork  # noqa: E402
from training.melody.tune import Tune  # noqa: E402


def random_rows(rng, *shape):
    columns = [
        rng.integers(0, size, shape) + OFFSETS[name] for name, size in zip(FEATURES, SIZES, strict=True)
    ]
    return np.stack(columns, -1)


def attending_step_by_step(given, kept, key, query, query_bias, energy, join, join_bias, *state):
    """The layer as its description says, for automatic differentiation."""
    cell, out, seen, memory = state
    outputs = []
    for t in range(given.shape[1]):
        i, f, g, o = (given[:, t] + torch.cat([out, seen], 1) @ kept.T).chunk(4, 1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        out = torch.sigmoid(o) * torch.tanh(cell)
        asked = torch.cat([cell, out], 1) @ query.T + query_bias
        share = torch.softmax(torch.tanh(memory @ key.T + asked[:, None]) @ energy, 1)
        seen = (share[..., None] * memory).sum(1)
        joined = torch.cat([out, seen], 1) @ join.T + join_bias
        memory = torch.cat([memory[:, 1:], joined[:, None]], 1)
        outputs.append(joined)
    return torch.stack(outputs, 1), cell, out, seen, memory


def test_the_attending_layer_and_its_gradients_are_those_of_the_definition():
    torch.manual_seed(0)
    batch, steps, units, span = 3, 9, 5, 4
    shapes = [(batch, steps, 4 * units), (4 * units, 2 * units), (units, units), (units, 2 * units), (units,)]
    shapes += [(units,), (units, 2 * units), (units,)]
    weights = [torch.randn(*s, dtype=torch.float64).mul(0.7).requires_grad_() for s in shapes]
    state = [torch.randn(batch, units, dtype=torch.float64) for _ in range(3)]
    state.append(torch.randn(batch, span, units, dtype=torch.float64))
    found = AttendingLayer.apply(*weights, *state)
    wanted = attending_step_by_step(*weights, *state)
    for own, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(own, other)
    weigh = torch.randn(batch, steps, units, dtype=torch.float64)
    pairs = (torch.autograd.grad((out[0] * weigh).sum(), weights) for out in (found, wanted))
    for own, other in zip(*pairs, strict=True):
        torch.testing.assert_close(own, other)


def test_the_reference_as_shipped_goes_as_it_was_trained():
    """More steps than the memory has slots, so that old ones are written over."""
    torch.manual_seed(0)
    network = ReferenceNetwork().eval()
    rows = random_rows(np.random.default_rng(0), 2, 60)
    narrow, width = narrowed(rows, COLUMNS)
    assert width == network.width
    x = np.zeros((*rows.shape[:2], width), np.float32)
    np.put_along_axis(x, narrow, 1.0, 2)
    state = [torch.zeros(2, *shape) for shape in STATE.values()]
    step = ReferenceStep(network)
    with torch.no_grad():
        context, _ = network.encode(torch.from_numpy(rows))
        for t in range(rows.shape[1]):
            pitch, *_, end = (out := step(torch.from_numpy(x[:, t]), *state))[:3]
            state = out[3:]
            torch.testing.assert_close(pitch, network.pitch(context[:, t]), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(end, network.end(context[:, t]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("network", [ReferenceNetwork, MelodyNetwork])
def test_a_judge_hears_prompts_of_any_length_as_one_after_the_other(network):
    torch.manual_seed(0)
    network = network().eval()
    rng = np.random.default_rng(1)
    rows = [random_rows(rng, n) for n in (30, 12, 21)]
    tokens = [np.stack([rng.integers(0, 50, len(r)), rng.integers(0, 31, len(r))], 1) for r in rows]
    judge = NetworkJudge(network)
    heard = judge.start([Prompt(r[:n]) for r, n in zip(rows, (14, 0, 20), strict=True)])
    windows = [Window(k, rows[k][n:], tokens[k][n:]) for k, n in ((2, 20), (0, 14), (1, 0), (0, 14))]
    together = judge.judge(heard, windows)
    for window, judged in zip(windows, together, strict=True):
        nothing = judge.start([Prompt(rows[0][:0])])
        (whole,) = judge.judge(nothing, [Window(0, rows[window.prompt], tokens[window.prompt])])
        tail = whole.log_probability[-len(window.rows) :]
        np.testing.assert_allclose(judged.log_probability, tail, atol=1e-4)
    pitch, duration, _ = judge.expect(heard, np.stack([window.rows[0] for window in windows[:3]])[[1, 2, 0]])
    for k, judged in ((0, together[1]), (1, together[2]), (2, together[0])):
        first = windows[[1, 2, 0][k]].tokens[0]
        assert pitch[k, first[0]] == pytest.approx(judged.log_probability[0, 0], abs=1e-4)
        assert duration[k, first[0], first[1]] == pytest.approx(judged.log_probability[0, 1], abs=1e-4)


def test_a_gru_step_is_a_step_of_the_gru():
    torch.manual_seed(0)
    layer = torch.nn.GRU(5, 7, batch_first=True)
    x, state = torch.randn(4, 3, 5), torch.randn(1, 4, 7)
    with torch.no_grad():
        wanted, _ = layer(x, state)
        own = state[0]
        for t in range(3):
            own = gru_step(layer, x[:, t], own)
            torch.testing.assert_close(own, wanted[:, t])


class Spread(torch.nn.Module):
    """A row beside each of several others, as the heads of the melody network have it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.rows = torch.nn.Parameter(torch.randn(6, 4))
        self.out = torch.nn.Linear(4, 3)

    def forward(self, x):
        return (self.out(torch.relu(x[:, None] + self.rows)),)


class Sliced(torch.nn.Module):
    def forward(self, x):
        return (x[:, :2] * 2,)


def test_a_free_first_axis_takes_any_number_of_rows(tmp_path):
    network = Spread().eval()
    write_onnx(network, {"x": (1, 4)}, ["y"], tmp_path / "a.onnx", batch=True)
    write_tflite(network, {"x": (1, 4)}, tmp_path / "a.tflite", batch=True)
    rng = np.random.default_rng(0)
    for path in (tmp_path / "a.onnx", tmp_path / "a.tflite"):
        session = open_weights(path, ["y"])
        assert session.input_shapes == {"x": (1, 4)}
        for count in (1, 5, 2, 5, 9, 3, 4, 7, 1):
            x = rng.standard_normal((count, 4), np.float32)
            wanted = network(torch.from_numpy(x))[0].detach().numpy()
            np.testing.assert_allclose(session.run({"x": x})["y"], wanted, atol=1e-5)


def test_a_slice_is_refused_where_the_first_axis_is_to_be_free(tmp_path):
    with pytest.raises(ValueError, match="slice"):
        write_tflite(Sliced().eval(), {"x": (1, 4)}, tmp_path / "a.tflite", batch=True)


def random_tune(rng, corpus, number):
    onset = np.cumsum(rng.choice([6, 6, 12], 160))
    onset -= onset[0]
    return Tune(
        name=f"{corpus}/{number}",
        corpus=corpus,
        style="folk" if corpus in BOOKS else "pop",
        meter=(4, 4),
        tonic=0,
        mode="major",
        onset=onset,
        duration=np.diff(onset, append=onset[-1] + 12),
        pitch=60 + rng.choice([0, 2, 4, 5, 7, 9, 11], len(onset)),
        section_end=(len(onset) - 1,),
        chords=((0, "C"), (48, "G7")),
    )


def test_the_card_is_made_of_what_is_measured():
    rng = np.random.default_rng(0)
    tunes = [
        encode_tune(random_tune(rng, corpus, k), 1, k) for corpus in (BOOKS[0], "pop909") for k in range(4)
    ]
    torch.manual_seed(0)
    ours = NetworkJudge(MelodyNetwork(size=8, hidden=8, ahead=8, rank=4).eval())
    reference = NetworkJudge(ReferenceNetwork(size=8, rank=4).eval())
    metrics = measure(ours, reference, tunes, tunes, 0, places=3)
    metrics["endings"] = endings(tunes, ours.ends([tune.rows for tune in tunes]), [0.1], 0)
    counts = dict.fromkeys((BOOKS[0], "pop909"), 4)
    summary = dict.fromkeys(("tunes", "training_tunes", "validation_tunes"), counts)
    numbers = (
        *("training_events", "validation_events", "groups"),
        *("tunes_with_a_near_duplicate", "largest_group"),
    )
    summary |= dict.fromkeys(numbers, 1)
    times = dict.fromkeys(
        ("call", "call_of_8", "context_of_64_events", "two_bars_16_notes", "two_bars_16_notes_8_times"), 1.0
    )
    copies = {"grams": 5, "kib": 1, "false_positives": 0.1, "of_validation": {"folk": 0.25}}
    front = front_matter(metrics, summary, {"seed": 0}, {"onnx": times, "tflite": times}, copies)
    headline = front["headline"]
    low, high = headline["interval_95"]
    assert low < headline["value"] < high
    # Chains that have learned these very tunes; the networks have learned nothing.
    assert headline["floor"] < headline["value"]
    text = prose(metrics, summary, front)
    assert f"{headline['value']:.3f}" in text
    for heading in ("Next note", "The next four bars", "Gaps of two bars", "Against the reference"):
        assert f"### {heading}" in text
