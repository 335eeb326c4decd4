"""`segue evaluate melody`: places, judges and figures worked out by hand, and folders as a user has them."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.cli import main
from segue.complete.encoding import DURATIONS, PITCH_TOKENS, REST, Setting, events_from_notes
from segue.complete.evaluate import (
    Candidate,
    at_continuations,
    at_gaps,
    chain_at_places,
    repeated,
    repetition_at_places,
    repetition_on_tunes,
    summary,
    whole_tunes,
)
from segue.complete.evaluate_folder import Piece, melody_table, table_text
from segue.complete.features import COLUMN, OFFSETS, READING, SIZES, STYLES
from segue.complete.judge import Judgement, ModelJudge, Prompt, Window, hidden, narrowed
from segue.complete.overlap import overlaps
from segue.complete.places import (
    CANDIDATES,
    continuations,
    cuts,
    draw_queries,
    gaps,
    pairs,
    shifted,
)
from segue.complete.sampler import AHEAD_MEMORY, Walker
from segue.complete.tracker import encode, reading_rows
from segue.metrics.markov import MarkovChain
from segue.midi import write_midi
from segue.runtime import BACKENDS, load_model
from segue.score import Meter, Score, Tempo, Track, make_notes

DEMONSTRATION = Path(__file__).parents[1] / "input/melodies"


def piece(pitches, name="a", corpus="", length=6, meter=(4, 4)):
    """A tune of notes of equal `length` (units) in C major."""
    setting = Setting(60, False, meter, None)
    onset = np.arange(len(pitches)) * length
    events = events_from_notes(onset, np.full(len(onset), length), np.array(pitches), setting)
    return Piece(name, corpus, setting, events, encode(events, setting))


def walk(seed, count=160, **given):
    steps = np.random.default_rng(seed).integers(-3, 4, count)
    return piece(60 + np.abs(np.cumsum(steps)) % 12, str(seed), **given)


class Even:
    """A judge to whom all pitches and all durations are alike."""

    def start(self, prompts):
        return len(prompts)

    def judge(self, heard, windows):
        likely = [np.log(1 / PITCH_TOKENS), np.log(1 / len(DURATIONS))]
        return [
            Judgement(np.tile(likely, (len(w.tokens), 1)), np.zeros((len(w.tokens), 2), int)) for w in windows
        ]

    def expect(self, heard, rows):
        even = np.zeros((len(rows), PITCH_TOKENS, len(DURATIONS)))
        return even[:, :, 0], even, heard


class Knowing(Even):
    """A judge that finds `liked` pitches likelier after some context than after none."""

    def __init__(self, liked):
        self.liked = liked

    def start(self, prompts):
        return [len(prompt.rows) for prompt in prompts]

    def judge(self, heard, windows):
        out = []
        for window, even in zip(windows, super().judge(heard, windows), strict=True):
            liked = np.isin(window.tokens[:, 0], self.liked) & (heard[window.prompt] > 0)
            even.log_probability[:, 0] += liked
            out.append(Judgement(even.log_probability, window.tokens))
        return out


def test_a_judge_to_whom_all_is_alike_gives_the_entropy_and_chance():
    tunes = [walk(seed) for seed in range(60)]
    row = summary(whole_tunes(Candidate(Even()), tunes))
    assert row["pitch"] == pytest.approx(np.log(PITCH_TOKENS))
    assert row["nats_per_note"] == pytest.approx(np.log(PITCH_TOKENS * len(DURATIONS)))
    queries = draw_queries(tunes, continuations, 20, 0)
    (found,) = at_continuations({"even": Candidate(Even())}, queries)["even"]
    assert found.rank.tolist() == [(CANDIDATES + 1) / 2] * len(queries)
    assert found.gain.tolist() == found.rank.tolist()


def test_a_rest_costs_its_neighbours_and_is_no_note():
    tune = piece([60, 62, 64, 65] * 10)
    events = events_from_notes(np.array([0, 24]), np.array([6, 6]), np.array([60, 62]), tune.setting)
    rested = Piece("r", "", tune.setting, events, encode(events, tune.setting))
    assert events.pitch.tolist().count(REST) == 1
    row = summary(whole_tunes(Candidate(Even()), [rested]))
    assert row["nats_per_note"] == pytest.approx(3 / 2 * np.log(PITCH_TOKENS * len(DURATIONS)))


def test_what_the_context_makes_likely_comes_first_by_its_gain():
    # The truth stays on C and D; the others on higher notes.
    tunes = [piece([60, 62] * 80, "truth"), *(piece([67 + k % 5, 69] * 80, str(k)) for k in range(9))]
    queries = [q for q in draw_queries(tunes, continuations, 99, 0) if q.cut.tune is tunes[0]]
    (found,) = at_continuations({"k": Candidate(Knowing([24, 26]))}, queries)["k"]
    assert len(queries) == 5
    assert found.rank.tolist() == found.gain.tolist() == [1.0] * 5
    # Top-1 of a judge that answers with the truth.
    assert summary(found)["top_1"] == 1


def test_queries_have_the_truth_first_and_other_tunes_in_the_same_meter_their_own_corpus_first():
    tunes = [walk(k, corpus="ab"[k % 2]) for k in range(120)]
    tunes += [walk(k, corpus="a", meter=(3, 4)) for k in range(120, 124)]
    for query in draw_queries(tunes, continuations, 30, 1):
        first, *others = query.candidates
        assert first is query.cut
        assert len({id(other.tune) for other in query.candidates}) == len(query.candidates)
        assert {other.tune.setting.meter for other in others} == {query.cut.tune.setting.meter}
        if first.tune.setting.meter == (4, 4):
            assert len(query.candidates) == CANDIDATES
            assert {other.tune.corpus for other in others} == {first.tune.corpus}
        else:
            assert len(query.candidates) == 4
    # Groups count for corpora, and each has as many places as are wanted.
    pooled = draw_queries(tunes, continuations, 30, 1, lambda corpus: "all")
    assert len(pooled) == 30
    assert {other.tune.corpus for query in pooled for other in query.candidates} == {"a", "b"}
    assert draw_queries(tunes[:1], continuations, 30, 1) == []


@given(st.integers(0, 999), st.sampled_from([4, 6, 9]))
@settings(max_examples=20, deadline=None)
def test_cuts_are_whole_bars_of_the_tune(seed, length):
    tune = walk(seed, length=length)
    for cut in cuts(tune, 2, 4):
        starts, tokens = shifted(cut, cut.start)
        assert starts[0] == cut.start
        assert (cut.start - tune.setting.origin) % 48 == 0
        assert starts[-1] < cut.start + 96
        assert tokens == pairs(tune, cut.first, cut.last)
    for cut in gaps(tune):
        assert tune.events.start[cut.last] == cut.start + 96


def test_repetition_is_right_where_the_tune_repeats():
    tune = piece([60, 62, 64, 65, 67, 65, 64, 62] * 16)
    other = walk(1)
    assert [tuple(event) for event in repeated(tune, 4)[32:].tolist()] == pairs(tune, 32)
    # 128 notes, of which the first 32 have nothing four bars before.
    assert summary(repetition_on_tunes([tune]))["top_1"] == pytest.approx(96 / 128)
    queries = [q for q in draw_queries([tune, other], continuations, 9, 0) if q.cut.tune is tune]
    row = summary(repetition_at_places(queries, 4))
    assert (row["top_1"], row["hits@1"]) == (1, 1)


def test_a_network_that_goes_one_way_is_asked_twice_in_gaps():
    tunes = [walk(seed) for seed in range(8)]
    queries = draw_queries(tunes, gaps, 5, 0)
    both = {"ahead": Candidate(Knowing([24]), ahead=True), "one way": Candidate(Knowing([24]))}
    found = at_gaps(both, queries)
    assert [len(found["ahead"]), len(found["one way"])] == [1, 2]
    for figures in (*found["ahead"], *found["one way"]):
        # Cost and notes are of what stood in the gap, whatever else was judged with it.
        assert figures.notes.tolist() == [16] * len(queries)
        assert figures.cost[:, 1] == pytest.approx(16 * np.log(len(DURATIONS)))


def test_a_chain_ranks_the_tune_that_it_has_learnt():
    tunes = [piece([60, 62, 64, 65, 67, 65, 64, 62] * 16), *(walk(k) for k in range(5))]
    chain = MarkovChain("factored", PITCH_TOKENS, len(DURATIONS)).fit([pairs(tunes[0])])
    queries = [q for q in draw_queries(tunes, continuations, 99, 0) if q.cut.tune is tunes[0]]
    row = summary(chain_at_places(lambda _: chain, queries))
    assert row["hits@1"] == 1
    assert row["top_1"] > 0.9


def test_overlap_of_a_periodic_tune_with_itself_is_all():
    tune = piece([60, 62, 64, 65, 67, 65, 64, 62] * 16)
    chain = MarkovChain("factored", PITCH_TOKENS, len(DURATIONS)).fit([pairs(tune)])
    places = continuations(tune)[:3]
    areas = overlaps({"even": Candidate(Even())}, lambda _: chain, places, 0)
    assert all((area == 1).all() for area in areas["repetition"].values())
    assert 0 < areas["even"]["pitch_class"].mean() < 1
    again = overlaps({"even": Candidate(Even())}, lambda _: chain, places, 0)
    for name, own in areas.items():
        for key, value in own.items():
            assert value.tolist() == again[name][key].tolist()


def test_hidden_rows_say_nothing_of_style_and_chords():
    setting = Setting(60, False, (4, 4), "jazz")
    rows = encode(piece([60, 62, 64]).events, setting)
    assert (rows[:, COLUMN["style"]] == OFFSETS["style"] + STYLES.index("jazz")).all()
    unknown = hidden(rows, style=True, chords=True)
    assert (unknown[:, COLUMN["style"]] == OFFSETS["style"] + len(STYLES)).all()
    assert rows.dtype == np.int16
    same = hidden(rows, style=False, chords=False)
    assert (same == rows).all()


def test_narrowed_rows_number_the_chosen_features_one_after_the_other():
    rows = encode(walk(3).events, walk(3).setting)
    names = ("bar", "event_pitch", "mode")
    found, width = narrowed(rows, names)
    sizes = [SIZES[COLUMN[name]] for name in names]
    assert width == sum(sizes)
    for column, (name, first) in enumerate(zip(names, np.cumsum([0, *sizes[:-1]]), strict=True)):
        assert (found[:, column] - first == rows[:, COLUMN[name]] - OFFSETS[name]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_model_judges_many_as_it_judges_one(backend):
    """Against the stage's own walk, event by event, whatever stands beside it."""
    model = load_model("melody", backend)
    tunes = [walk(0, 40), walk(1, 23), walk(2, 31, length=9)]
    judge = ModelJudge(model)
    heard = judge.start([Prompt(tune.rows[:9]) for tune in tunes])
    windows = [Window(k, t.rows[9:-1].astype(np.int64), np.array(pairs(t, 9))) for k, t in enumerate(tunes)]
    for tune, judged in zip(tunes, judge.judge(heard, windows), strict=True):
        walker = Walker(model, tune.setting, tune.events)
        walker.follow(9)
        events = zip(tune.events.start[9:].tolist(), pairs(tune, 9), strict=True)
        surprise = [walker.surprise(start, *tokens) for start, tokens in events]
        # The stage rounds all logits to three decimals: half of one for each of four terms.
        np.testing.assert_allclose(-judged.log_probability.sum(1), surprise, atol=2e-3)
    pitch, duration, _ = judge.expect(heard, np.stack([w.rows[0] for w in windows]))
    np.testing.assert_allclose(np.exp(pitch).sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(duration).sum(2), 1, rtol=1e-5)


def test_the_model_hears_what_comes_after_a_gap_as_the_stage_does():
    model = load_model("melody")
    tune = walk(4, 80)
    after = events_from_notes(np.arange(60, 80) * 6, np.full(20, 6), 60 + np.arange(20) % 5, tune.setting)
    reading = np.array(reading_rows(after, tune.setting, AHEAD_MEMORY))[::-1]
    assert reading.shape[1] == len(READING)
    judge = ModelJudge(model)
    heard = judge.start([Prompt(tune.rows[:20], reading), Prompt(tune.rows[:20])])
    walker = Walker(model, tune.setting, tune.events)
    walker.follow(20)
    walker.look_ahead(after)
    np.testing.assert_allclose(heard.ahead["ahead"][0], walker.ahead[0], atol=1e-4)
    assert not heard.ahead["ahead"][1].any()
    np.testing.assert_allclose(heard.state["h"][0], walker.state[0], atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["melody", "melody-reference"])
def test_a_batch_gives_what_single_calls_give(name, backend):
    model = load_model(name, backend)
    rng = np.random.default_rng(0)
    given = {k: rng.random((7, *v[1:]), np.float32) / 8 for k, v in model.card["inputs"].items()}
    together = model(**given)
    for i in range(7):
        alone = model(**{key: value[i : i + 1] for key, value in given.items()})
        for key, value in alone.items():
            np.testing.assert_allclose(together[key][i : i + 1], value, atol=1e-4)


def test_the_table_of_a_folder_says_what_it_could_not_do():
    single = melody_table([walk(0)], Even(), Even(), style=False, seed=0)
    assert set(single.parts) == {"next note"}
    assert "markov" not in single.parts["next note"]
    text = table_text(single)
    assert "no markov row" in text
    assert "two pieces in one meter" in text
    several = melody_table([walk(k) for k in range(12)], Even(), Even(), style=False, seed=0)
    assert set(several.parts) == {"next note", "next four bars", "two-bar gaps", "overlap of four bars"}
    assert set(several.parts["next note"]) == {"segue", "reference", "markov", "repetition"}
    text = table_text(several)
    assert "each among 12" in text
    assert "50 need as many pieces" in text
    assert "each tenth of the pieces" in text
    assert len({len(line) for line in text.splitlines() if line.startswith("  segue")}) > 1


def test_evaluate_melody_reads_a_folder_and_names_what_it_leaves_out(tmp_path, capsys):
    for path in sorted(DEMONSTRATION.glob("*.mid"))[:3]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    notes = make_notes(np.arange(8) * 960, np.full(8, 480), np.full(8, 42), 90)
    drums = Score((Track("d", 9, notes=notes),), (Tempo(0, 500_000),), (Meter(0, 4, 4),))
    (tmp_path / "drums.mid").write_bytes(write_midi(drums))
    (tmp_path / "bad.mid").write_bytes(b"nothing")
    assert main(["evaluate", "melody", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "3 pieces" in captured.out
    for name in ("segue", "reference", "markov", "repetition"):
        assert re.search(rf"^  {name} +[\d.-]+", captured.out, re.MULTILINE)
    for name in ("drums", "bad"):
        assert any(f"{name}.mid: left out: " in line for line in captured.err.splitlines())
    assert main(["evaluate", "melody", str(tmp_path), "--seed", "0"]) == 0
    assert capsys.readouterr().out == captured.out


def test_evaluate_melody_refuses_what_it_cannot_use(tmp_path, capsys):
    assert main(["evaluate", "melody", str(tmp_path / "nowhere")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert main(["evaluate", "melody", str(tmp_path), "--split", "validation"]) == 2
    assert "--split" in capsys.readouterr().err
    assert main(["evaluate", "melody", str(tmp_path), "--set", "loudness=3"]) == 2
    assert main(["evaluate", "melody", str(tmp_path)]) == 1
    assert "none of the files" in capsys.readouterr().err
