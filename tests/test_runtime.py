"""The runtime and the models: what is not what its card says is refused."""

import shutil

import numpy as np
import pytest

from segue.models import all_states, model_names, model_state, probe_error
from segue.runtime import (
    MODELS_FOLDER,
    Model,
    ModelError,
    load_model,
    model_hash,
    read_card,
    read_reference,
)

NAMES = model_names()


def copy(tmp_path, name):
    return shutil.copytree(MODELS_FOLDER / name, tmp_path / name)


def test_every_model_of_the_chain_is_there():
    assert {"groove", "dynamics", "melody", "harmony", "accompaniment"} <= set(NAMES)


def test_all_models_pass_reference_and_probe():
    states = all_states()
    assert [f"{s.name} {s.backend}: {s.reference} {s.probe}" for s in states if not s.ok] == []
    assert len(states) == 2 * len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_both_backends_agree(name):
    stored = read_reference(MODELS_FOLDER / name)
    inputs = {k[6:]: v for k, v in stored.items() if k.startswith("input.")}
    onnx, tflite = (load_model(name, backend).run_examples(inputs) for backend in ("onnx", "tflite"))
    tolerance = float(read_card(MODELS_FOLDER / name)["tolerance"])
    for output in onnx:
        np.testing.assert_allclose(onnx[output], tflite[output], atol=2 * tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_cards_tell_what_a_user_must_know(name):
    card = read_card(MODELS_FOLDER / name)
    assert card["headline"].keys() >= {"metric", "value", "floor", "better"}
    value, floor = card["headline"]["value"], card["headline"]["floor"]
    assert value < floor if card["headline"]["better"] == "lower" else value > floor
    for source in card["data"]:
        assert source.keys() >= {"name", "licence"}
    text = (MODELS_FOLDER / name / "card.md").read_text().lower()
    for word in ("licence", "intended use", "limits", "latency"):
        assert word in text, word


def test_weights_of_another_model_are_refused(tmp_path):
    groove, harmony = copy(tmp_path, "groove"), MODELS_FOLDER / "harmony"
    shutil.copyfile(harmony / "harmony.onnx", groove / "groove.onnx")
    with pytest.raises(ModelError, match=r"not those of the card|cannot load"):
        Model(groove, "onnx")
    assert not model_state(groove, "onnx").ok


def test_damaged_weights_are_refused(tmp_path):
    """Damage within the weights that leaves the graph intact is caught by the reference."""
    folder = copy(tmp_path, "groove")
    path = folder / "groove.onnx"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    block = np.frombuffer(bytes(data[middle : middle + 40000]), np.uint8)
    data[middle : middle + 40000] = (block ^ 0x41).tobytes()
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError):
        Model(folder, "onnx")


def test_an_untrained_stand_in_with_its_own_reference_fails_the_probe(tmp_path):
    """Constant outputs, with a reference made to match them, cannot beat the best constant answer."""
    stored = read_reference(MODELS_FOLDER / "groove")
    card = read_card(MODELS_FOLDER / "groove")
    output = stored[f"output.{card['probe']['output']}"]
    error, floor = probe_error(card["probe"]["kind"], np.full_like(output, 0.3), stored["target"])
    assert error >= floor


def test_missing_input_and_wrong_shape_are_named():
    model = load_model("groove")
    name, shape = next(iter(model.card["inputs"].items()))
    with pytest.raises(ModelError, match=f"input {name} is missing"):
        model()
    with pytest.raises(ModelError, match="has shape"):
        model(**{name: np.zeros((*shape, 2), np.float32)})


def add_extra(folder, **arrays):
    """Name `more.npz` in the card of a model folder, and write it."""
    card = folder / "card.md"
    card.write_text(card.read_text().replace("---\n", "---\nextras: [more.npz]\n", 1))
    np.savez(folder / "more.npz", **arrays)
    return folder


def test_extra_files_come_as_arrays(tmp_path):
    plain = Model(copy(tmp_path, "dynamics"), "onnx")
    with pytest.raises(ModelError, match="names no extra file more"):
        plain.extra("more.npz")
    model = Model(add_extra(plain.folder, grid=np.arange(5)), "onnx")
    assert model.extra("more.npz")["grid"].tolist() == [0, 1, 2, 3, 4]
    assert model.extra("more.npz") is model.extra("more.npz")
    # A file that the card does not name is not given, even though it lies in the folder.
    with pytest.raises(ModelError, match="names no extra file reference"):
        model.extra("reference.npz")


def test_extra_files_count_in_the_hash_and_must_be_there(tmp_path):
    folder = add_extra(copy(tmp_path, "dynamics"), grid=np.arange(5))
    before = model_hash(folder, "onnx")
    assert before != model_hash(MODELS_FOLDER / "dynamics", "onnx")
    np.savez(folder / "more.npz", grid=np.arange(6))
    assert model_hash(folder, "onnx") != before
    (folder / "more.npz").unlink()
    with pytest.raises(ModelError, match=r"there is no more\.npz"):
        Model(folder, "onnx")
    (folder / "reference.npz").unlink()
    with pytest.raises(ModelError, match=r"there is no reference\.npz"):
        Model(folder, "onnx")


def test_unknown_model_and_backend_are_named(tmp_path):
    with pytest.raises(ModelError, match="there is no card"):
        load_model("nobody")
    with pytest.raises(ModelError, match="backend jax is unknown"):
        load_model("groove", "jax")


def test_probe_error_by_hand():
    logits = np.log(np.array([[0.5, 0.5], [0.25, 0.75]]))
    error, floor = probe_error("cross_entropy", logits, np.array([0, 1]))
    assert error == pytest.approx((-np.log(0.5) - np.log(0.75)) / 2)
    assert floor == pytest.approx(np.log(2))
    error, floor = probe_error("absolute_error", np.array([1.0, 2, 9]), np.array([1.0, 4, np.nan]))
    assert error == pytest.approx(1.0)
    assert floor == pytest.approx(1.5)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_shows_the_cards_figures(name):
    readme = (MODELS_FOLDER.parent / "README.md").read_text()
    (row,) = [line for line in readme.splitlines() if line.startswith(f"| [{name}]")]
    card = read_card(MODELS_FOLDER / name)
    assert f"{card['parameters']:,}" in row
    assert f": {card['headline']['value']} |" in row
    assert row.endswith(f"| {card['headline']['floor']} |")
