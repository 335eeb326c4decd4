"""Compression: rounding is bounded, storing changes nothing, and what ships is what the tables say."""

import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segue.models import model_names
from segue.runtime import (
    BACKENDS,
    MODELS_FOLDER,
    Model,
    open_weights,
    read_card,
    read_reference,
    weights_path,
)
from training.common import pack
from training.common.grid import LIMIT, int8_scale, is_matrix, to_int8_grid

#: The kilobytes that all weights together may take in one format.
BUDGET_KIB = 4096

MATRICES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7),
    elements=st.floats(-8, 8, width=32, allow_subnormal=False),
)


@given(MATRICES)
def test_eight_bits_are_off_by_half_a_step_at_most_and_rounding_twice_is_rounding_once(values):
    rounded = to_int8_grid(values)
    scale = int8_scale(np.abs(values).reshape(len(values), -1).max(1))
    error = np.abs(rounded - values).reshape(len(values), -1).max(1)
    assert (error <= scale / 2 * (1 + 1e-6)).all()
    np.testing.assert_array_equal(to_int8_grid(rounded), rounded)


@given(MATRICES)
def test_the_grid_is_found_again_to_the_last_bit(values):
    rounded = to_int8_grid(values)
    whole, scale = pack.as_int8(rounded, [(0,)])
    assert whole.dtype == np.int8
    assert np.abs(whole.astype(int)).max() <= LIMIT
    np.testing.assert_array_equal(whole.astype(np.float32) * scale, rounded)


def test_other_values_are_not_taken_for_a_grid():
    values = np.random.default_rng(0).standard_normal((8, 40)).astype(np.float32)
    assert pack.as_int8(values, [(0,), (1,)]) is None
    assert not pack.is_half(values)
    assert pack.is_half(values.astype(np.float16).astype(np.float32))
    assert not pack.is_half(np.float32([[1e6]]))


def test_a_bias_is_no_matrix_however_it_lies():
    assert not is_matrix((300,))
    assert not is_matrix((1, 300))
    assert not is_matrix((1, 300, 1))
    assert is_matrix((3, 100))


def product(weights, path):
    """A TFLite file that multiplies (1, inputs) by `weights` (outputs, inputs)."""
    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    graph.tensors = []
    for shape, buffer in (((1, weights.shape[1]), 0), (weights.shape, 1), ((1, len(weights)), 0)):
        tensor = schema.TensorT()
        tensor.shape, tensor.buffer, tensor.name = list(shape), buffer, "a long name " * 4
        graph.tensors.append(tensor)
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators, graph.inputs, graph.outputs = [operator], [0], [2]
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [pack.as_buffer(), pack.as_buffer(weights)]
    pack.write(model, path)


def run_product(path, x):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize(
    ("coarse", "type_name", "share"),
    [(to_int8_grid, "INT8", 0.4), (lambda v: v.astype(np.float16).astype(np.float32), "FLOAT16", 0.6)],
)
def test_storing_in_fewer_bytes_changes_no_answer(tmp_path, coarse, type_name, share):
    rng = np.random.default_rng(1)
    weights = coarse(rng.standard_normal((40, 64)).astype(np.float32))
    x = rng.standard_normal((1, 64)).astype(np.float32)
    plain, packed = tmp_path / "plain.tflite", tmp_path / "packed.tflite"
    product(weights, plain)
    product(weights, packed)
    pack.pack_tflite(packed)
    np.testing.assert_array_equal(run_product(plain, x), run_product(packed, x))
    assert packed.stat().st_size < share * plain.stat().st_size
    stored = {t.type for t in pack.read(packed).subgraphs[0].tensors}
    assert getattr(schema.TensorType, type_name) in stored


def test_dynamic_eight_bits_keep_the_weights_and_round_the_inputs(tmp_path):
    rng = np.random.default_rng(2)
    weights = to_int8_grid(rng.standard_normal((40, 64)).astype(np.float32))
    x = rng.standard_normal((1, 64)).astype(np.float32)
    path = tmp_path / "dynamic.tflite"
    product(weights, path)
    pack.pack_tflite(path, dynamic=True)
    # Each of the 64 inputs is off by half of 1/255 of their range at most.
    bound = np.abs(weights).sum(1) * (x.max() - x.min()) / 255 / 2 * 1.1
    difference = np.abs(run_product(path, x)[0] - weights @ x[0])
    assert (difference <= bound + 1e-4).all()
    assert difference.max() > 1e-4


def test_weights_that_do_not_fit_are_left_as_they_are(tmp_path):
    weights = np.random.default_rng(3).standard_normal((40, 64)).astype(np.float32)
    path = tmp_path / "plain.tflite"
    product(weights, path)
    pack.pack_tflite(path)
    x = np.ones((1, 64), np.float32)
    np.testing.assert_allclose(run_product(path, x)[0], weights.sum(1), rtol=1e-4, atol=1e-4)
    assert path.stat().st_size > weights.nbytes


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_weights_stay_within_the_budget(backend):
    sizes = {name: weights_path(MODELS_FOLDER / name, backend).stat().st_size for name in model_names()}
    assert sum(sizes.values()) < BUDGET_KIB * 1024, sizes


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", model_names())
def test_every_load_gives_the_same_bytes(name, backend):
    """Weights are brought back to float32 at loading: that must not depend on the load."""
    card = read_card(MODELS_FOLDER / name)
    path = weights_path(MODELS_FOLDER / name, backend)
    x = {key: np.random.default_rng(4).random(shape, np.float32) for key, shape in card["inputs"].items()}
    first, second = (open_weights(path, list(card["outputs"])).run(x) for _ in range(2))
    for key in first:
        assert first[key].tobytes() == second[key].tobytes()


@pytest.mark.parametrize("name", model_names())
def test_both_files_hold_the_same_weights(name):
    """Far closer than the card's tolerance: nothing but the order of sums differs."""
    stored = read_reference(MODELS_FOLDER / name)
    inputs = {k[6:]: v[:4] for k, v in stored.items() if k.startswith("input.")}
    onnx, tflite = (Model(MODELS_FOLDER / name, b).run_examples(inputs) for b in BACKENDS)
    for key in onnx:
        np.testing.assert_allclose(onnx[key], tflite[key], atol=1e-4)


def tables():
    return sorted(path.parent.name for path in MODELS_FOLDER.glob("*/compression.json"))


def test_groove_has_a_table_of_forms():
    assert "groove" in tables()


@pytest.mark.parametrize("name", tables())
def test_what_ships_is_the_form_that_the_table_says(name):
    stored = json.loads((MODELS_FOLDER / name / "compression.json").read_text())
    for backend, runtime in (("onnx", "ONNX"), ("tflite", "TFLite")):
        (row,) = [r for r in stored["forms"] if (r["runtime"], r["form"]) == (runtime, stored["ships"])]
        size = weights_path(MODELS_FOLDER / name, backend).stat().st_size
        assert row["kib"] == pytest.approx(size / 1024, rel=1e-5)
        assert row["parameters"] == read_card(MODELS_FOLDER / name)["parameters"]
        assert row["worst"] <= 0.02
        assert row["scores"].keys() >= set(stored["columns"])


@pytest.mark.parametrize("name", tables())
def test_the_table_has_every_form(name):
    stored = json.loads((MODELS_FOLDER / name / "compression.json").read_text())
    forms = {(row["runtime"], row["form"]) for row in stored["forms"]}
    for runtime in ("ONNX", "TFLite"):
        assert {(runtime, form) for form in ("fp32", "fp16 weights", "int8 weights")} <= forms
    assert ("TFLite", "dynamic int8") in forms
    if name == "groove":
        assert {f"{share} pruned, fp32" for share in ("25%", "50%", "75%")} <= {form for _, form in forms}
        assert any(form.startswith("half size") for _, form in forms)


def test_groove_is_small_enough():
    for backend in BACKENDS:
        assert weights_path(MODELS_FOLDER / "groove", backend).stat().st_size <= 400 * 1024
    assert read_card(MODELS_FOLDER / "groove")["parameters"] <= 400_000
