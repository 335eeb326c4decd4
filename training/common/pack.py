"""Store the weights of ONNX and TFLite files in fewer bytes, without changing one of them.

    PYTHONPATH=src:. python -m training.common.pack models/harmony ...

An array whose values lie on an eight-bit grid (see `training.common.grid`) becomes int8 with a scale for
each row, one that half precision holds exactly becomes fp16; everything else stays. The file brings them
back to float32 with Cast and Mul (ONNX) or DEQUANTIZE (TFLite), which both runtimes do once, at loading: no
cost in a run, float arithmetic, equal answers to the last bit. `export_model` packs what it writes, and the
command finished models.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from segue.runtime import Model, weights_path
from training.common.grid import LIMIT, int8_scale, is_matrix

#: Smaller arrays are not worth two more operations.
_MIN_SIZE = 256


def as_int8(values: np.ndarray, axes: list[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray] | None:
    """Whole numbers, and scales for broadcasting: one for each place along the first of `axes` (each a tuple
    of axes) where every value is an exact multiple; None if there is no such.
    """
    for own in axes:
        others = tuple(i for i in range(values.ndim) if i not in own)
        scale = int8_scale(np.abs(values).max(others, keepdims=True))
        whole = np.rint(values / scale)
        if np.abs(whole).max() <= LIMIT and (whole.astype(np.float32) * scale == values).all():
            return whole.astype(np.int8), scale
    return None


def is_half(values: np.ndarray) -> bool:
    """Whether half precision holds every value exactly."""
    with np.errstate(over="ignore"):
        return bool((values.astype(np.float16).astype(np.float32) == values).all())


def is_worth_it(values: np.ndarray) -> bool:
    """Whether an array is one that is packed, if its values allow it."""
    # A bias lies as (n,) in one format and as (1, n) in the other, so it is never packed.
    return values.dtype == np.float32 and is_matrix(values.shape) and values.size >= _MIN_SIZE


def pack_onnx(path: Path) -> None:
    """Rewrite an ONNX file in place."""
    import onnx  # Here, so that what writes TFLite needs no package beyond those of the runtime.
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    graph = model.graph
    before = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if not is_worth_it(values):
            continue
        name, small = tensor.name, f"{tensor.name}_small"
        # The last axis sums in products whose weights come by rows, the last but one in the others.
        axes = [tuple(range(values.ndim - 1)), (0,), (values.ndim - 1,)]
        if (int8 := as_int8(values, axes)) is not None:
            whole, scale = int8
            graph.initializer.append(numpy_helper.from_array(whole, small))
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
            # Not DequantizeLinear: ONNX Runtime keeps that one for its integer kernels and runs it each time.
            before.append(helper.make_node("Cast", [small], [f"{name}_float"], to=TensorProto.FLOAT))
            before.append(helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name]))
        elif is_half(values):
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), small))
            before.append(helper.make_node("Cast", [small], [name], to=TensorProto.FLOAT))
        else:
            continue
        graph.initializer.remove(tensor)
    if not before:
        return
    nodes = [*before, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def pack_tflite(path: Path, dynamic: bool = False) -> None:
    """Rewrite a TFLite file in place, without the names that a run does not need.

    With `dynamic`, eight-bit weights of products go to the integer kernels as they are: these round each
    input to eight bits, too, which is faster and changes the answers.
    """
    model = read(path)
    (graph,) = model.subgraphs
    before: list[schema.OperatorT] = []
    for index, tensor in enumerate(list(graph.tensors)):
        values = constant(model, tensor)
        if values is None or not is_worth_it(values):
            continue
        int8 = as_int8(values, [(axis,) for axis in range(values.ndim)])
        if int8 is None and not is_half(values):
            continue
        small = schema.TensorT()
        small.shape, small.buffer = list(values.shape), len(model.buffers)
        if int8 is None:
            small.type, stored = schema.TensorType.FLOAT16, values.astype(np.float16)
        else:
            stored, scale = int8
            small.type, small.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
            small.quantization.scale = scale.ravel()
            small.quantization.zeroPoint = np.zeros(scale.size, np.int64)
            small.quantization.quantizedDimension = int(np.argmax(scale.shape))
        model.buffers.append(as_buffer(stored))
        graph.tensors.append(small)
        if dynamic and int8 is not None and len(scale) == scale.size:
            products = _products(model, graph, index)
        else:
            products = []
        if products:
            for operator in products:
                operator.inputs = [operator.inputs[0], len(graph.tensors) - 1, *operator.inputs[2:]]
            continue
        back = schema.OperatorT()
        back.opcodeIndex = _operator_code(model, schema.BuiltinOperator.DEQUANTIZE)
        back.inputs, back.outputs = [len(graph.tensors) - 1], [index]
        back.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
        back.builtinOptions = schema.DequantizeOptionsT()
        tensor.buffer = 0
        before.append(back)
    graph.operators = [*before, *graph.operators]
    _drop_what_is_not_used(model, graph)
    write(model, path)


#: The batch that a graph is converted with before `free_batch`: in one of 1 the converter takes a reshape for
#: needless where only the one makes it so.
FREE_ROWS = 2


def free_batch(path: Path) -> None:
    """Rewrite a TFLite file of a batch of `FREE_ROWS` in place: a batch of one, which a runtime can resize.

    The converter writes the shape that a reshape leads to as numbers. As the batch is the outermost axis,
    the first of them follows from the others and from what comes in. (A slice has such numbers too, and
    its kernel takes nothing else, so a network for batches has none.)
    """
    model = read(path)
    (graph,) = model.subgraphs
    made = {int(i) for i in graph.inputs}
    for operator in graph.operators:
        inputs = [int(i) for i in operator.inputs]
        if made.isdisjoint(inputs):
            continue
        made |= {int(i) for i in operator.outputs}
        kind = model.operatorCodes[operator.opcodeIndex].builtinCode
        if kind == schema.BuiltinOperator.SLICE:
            raise ValueError(f"{path}: the graph has a slice, whose batch cannot be resized")
        if kind != schema.BuiltinOperator.RESHAPE:
            continue
        target = copy.copy(graph.tensors[inputs[1]])
        numbers = np.frombuffer(model.buffers[target.buffer].data.tobytes(), np.int32).copy()
        numbers[0] = -1
        # Others may share the list, so this operator gets one of its own.
        target.buffer = len(model.buffers)
        operator.inputs = [inputs[0], len(graph.tensors)]
        model.buffers.append(as_buffer(numbers))
        graph.tensors.append(target)
        if operator.builtinOptions is not None:
            operator.builtinOptions.newShape = numbers
    for index in made:
        tensor = graph.tensors[index]
        tensor.shape = [int(tensor.shape[0]) // FREE_ROWS, *tensor.shape[1:]]
    write(model, path)


def read(path: Path) -> schema.ModelT:
    """A TFLite file as objects."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))


def write(model: schema.ModelT, path: Path) -> None:
    """Objects as a TFLite file."""
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.shape = np.asarray(tensor.shape, np.int32)
        for operator in graph.operators:
            operator.inputs = np.asarray(operator.inputs, np.int32)
            operator.outputs = np.asarray(operator.outputs, np.int32)
    builder = _SharingBuilder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal shapes and lists of tensors once: a long graph has few different ones."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802 (a method of the library)
        """The place of a vector with these values."""
        key = x.dtype.str, x.tobytes()
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


class _AlignedBuffer(schema.BufferT):
    """Weights on a boundary of 16 bytes, as the format asks and the generated writer forgets."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (a method of the library)
        data = b"" if self.data is None else self.data.tobytes()
        vector = None
        if data:
            builder.StartVector(1, len(data), 16)
            builder.head -= len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def as_buffer(values: np.ndarray | None = None) -> _AlignedBuffer:
    """A buffer of a TFLite file."""
    buffer = _AlignedBuffer()
    if values is not None:
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    return buffer


def constant(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray | None:
    """The values of a float32 constant, None for anything else."""
    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or data is None or not len(data):
        return None
    return np.frombuffer(data.tobytes(), np.float32).reshape(tensor.shape)


def _products(model: schema.ModelT, graph: schema.SubGraphT, index: int) -> list[schema.OperatorT]:
    """The operators that take tensor `index` as the weights of a product; empty if anything else takes it."""
    kinds = (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.CONV_2D)
    users = [o for o in graph.operators if index in o.inputs]
    fit = all(
        model.operatorCodes[o.opcodeIndex].builtinCode in kinds and list(o.inputs).index(index) == 1
        for o in users
    )
    return users if fit else []


def _operator_code(model: schema.ModelT, kind: int) -> int:
    for i, code in enumerate(model.operatorCodes):
        if code.builtinCode == kind:
            return i
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, 127), 5
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _drop_what_is_not_used(model: schema.ModelT, graph: schema.SubGraphT) -> None:
    """Names, metadata, buffers without a tensor, and one buffer for each of the equal constants."""
    used = {i for o in graph.operators for i in (*o.inputs, *o.outputs)} | {*graph.inputs, *graph.outputs}
    buffers: list[schema.BufferT] = [as_buffer()]
    place: dict[bytes, int] = {b"": 0}
    for index, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data if index in used else None
        key = b"" if data is None else data.tobytes()
        if key not in place:
            place[key] = len(buffers)
            buffers.append(as_buffer(data))
        tensor.buffer = place[key]
        tensor.name = None
        if tensor.quantization is not None and tensor.quantization.scale is None:
            tensor.quantization = None
    model.buffers, model.metadata, model.metadataBuffer, model.description = buffers, None, None, None


def main() -> None:
    """The command line: pack both files of each model folder that is named."""
    for folder in map(Path, sys.argv[1:]):
        for backend, pack in (("onnx", pack_onnx), ("tflite", pack_tflite)):
            path = weights_path(folder, backend)
            before = path.stat().st_size
            pack(path)
            Model(folder, backend)  # Raises when the reference is missed.
            print(f"{path}: {before / 1024:.0f} to {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
