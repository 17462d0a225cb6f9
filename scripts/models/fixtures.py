"""Writes the small ONNX models of the Rust tests to tests/fixtures/models/, and tries each in ONNX Runtime.

tests/fixtures/README.md says what each is for. Files are byte-identical in every run. Run by
`scripts/models/verify.sh --fixtures`; with --check nothing is written and the files must be those in git.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library loads

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "models"
FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
ML = "ai.onnx.ml"

node = helper.make_node


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, data, dtype=np.float32):
    return numpy_helper.from_array(np.array(data, dtype), name)


def model(name, nodes, inputs, outputs, constants=(), opset=17, ml=None):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(constants))
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(ML, ml)] if ml else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


# === one function a file; the name is the file's with underscores ===


def add_one():
    return model("add-one", [node("Add", ["x", "one"], ["y"])], [value("x", FLOAT, ["batch", 3])],
                 [value("y", FLOAT, ["batch", 3])], [constant("one", 1)])


def fixed_sum():
    return model("fixed-sum", [node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)], [value("x", FLOAT, [2, 3])],
                 [value("y", FLOAT, [2])], [constant("axes", [1], np.int64)])


def two_inputs():
    nodes = [node("Cast", ["b"], ["b_float"], to=FLOAT), node("Add", ["a", "b_float"], ["sum"]),
             node("Identity", ["b"], ["rows"])]
    return model("two-inputs", nodes, [value("a", FLOAT, ["batch", 2]), value("b", INT64, ["batch", 2])],
                 [value("sum", FLOAT, ["batch", 2]), value("rows", INT64, ["batch", 2])])


def mixes_rows():
    nodes = [node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1), node("Sub", ["x", "mean"], ["y"])]
    return model("mixes-rows", nodes, [value("x", FLOAT, ["batch", 3])], [value("y", FLOAT, ["batch", 3])])


def batch_scalar_output():
    return model("batch-scalar-output", [node("ReduceSum", ["x"], ["y"], keepdims=0)],
                 [value("x", FLOAT, ["batch", 3])], [value("y", FLOAT, [])])


def strings():
    return model("strings", [node("Identity", ["x"], ["y"])], [value("x", STRING, ["batch"])],
                 [value("y", STRING, ["batch"])])


DTYPES = {
    "float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float64": np.float64, "int8": np.int8, "int16": np.int16,
    "int32": np.int32, "int64": np.int64, "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32,
    "uint64": np.uint64, "bool": np.bool_,
}


def dtypes():
    nodes, inputs, outputs = [], [], []
    for name, dtype in DTYPES.items():
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        nodes.append(node("Identity", [f"{name}_in"], [f"{name}_out"]))
        inputs.append(value(f"{name}_in", kind, ["batch", 2]))
        outputs.append(value(f"{name}_out", kind, ["batch", 2]))
    return model("dtypes", nodes, inputs, outputs)


def nan():
    return model("nan", [node("Log", ["x"], ["y"])], [value("x", FLOAT, ["batch", 1])], [value("y", FLOAT, ["batch", 1])])


SLOW_WIDTH = 256


def slow():
    """y = x after `iterations` products with the identity: time by the input, and a node to stop at in each round."""
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"]), node("MatMul", ["state", "identity"], ["state_next"])],
        "round",
        [value("round", INT64, []), value("go", TensorProto.BOOL, []), value("state", FLOAT, None)],
        [value("go_on", TensorProto.BOOL, []), value("state_next", FLOAT, None)],
    )
    eye = node("EyeLike", ["square"], ["identity"], dtype=FLOAT)
    nodes = [
        node("ConstantOfShape", ["square_shape"], ["square"]), eye,
        node("Expand", ["x", "wide_shape"], ["wide"]),
        node("ReduceMax", ["iterations"], ["trips"], keepdims=0),
        node("Loop", ["trips", "", "wide"], ["state_last"], body=body),
        node("Slice", ["state_last", "from", "to", "axis"], ["y"]),
    ]
    constants = [constant("square_shape", [SLOW_WIDTH, SLOW_WIDTH], np.int64), constant("wide_shape", [1, SLOW_WIDTH], np.int64),
                 constant("from", [0], np.int64), constant("to", [1], np.int64), constant("axis", [1], np.int64)]
    return model("slow", nodes, [value("x", FLOAT, ["batch", 1]), value("iterations", INT64, ["batch", 1])],
                 [value("y", FLOAT, ["batch", 1])], constants)


def regressor():
    linear = node("LinearRegressor", ["features"], ["value"], domain=ML, targets=1, coefficients=[0.5, -1.0, 2.0, 0.25],
                  intercepts=[3.0])
    return model("regressor", [linear], [value("features", FLOAT, ["N", 4])], [value("value", FLOAT, ["N", 1])], ml=3)


def columns():
    """Logistic regression over four columns of three types; a city that it does not know counts as 0."""
    nodes = [
        node("LabelEncoder", ["city"], ["city_weight"], domain=ML, keys_strings=["Berlin", "Lisbon", "Oslo"],
             values_floats=[1.5, -0.5, 0.75], default_float=0.0),
        node("Cast", ["visits"], ["visits_float"], to=FLOAT),
        node("Concat", ["age", "income", "city_weight", "visits_float"], ["all"], axis=1),
        node("LinearClassifier", ["all"], ["label", "probabilities"], domain=ML, classlabels_ints=[0, 1],
             coefficients=[0.03, -0.0001, -1.0, -0.2, -0.03, 0.0001, 1.0, 0.2], intercepts=[0.5, -0.5],
             post_transform="SOFTMAX"),
    ]
    inputs = [value("age", FLOAT, ["N", 1]), value("income", FLOAT, ["N", 1]), value("city", STRING, ["N", 1]),
              value("visits", INT64, ["N", 1])]
    outputs = [value("label", INT64, ["N"]), value("probabilities", FLOAT, ["N", 2])]
    return model("columns", nodes, inputs, outputs, ml=3)


def zipmap():
    nodes = [
        node("LinearClassifier", ["features"], ["output_label", "scores"], domain=ML, classlabels_ints=[3, 5, 9],
             coefficients=[1.0, 0.0, 0.0, 1.0, -1.0, -1.0], intercepts=[0.0, 0.0, 0.5], post_transform="SOFTMAX"),
        node("ZipMap", ["scores"], ["output_probability"], domain=ML, classlabels_int64s=[3, 5, 9]),
    ]
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, [])))
    outputs = [value("output_label", INT64, ["N"]), helper.make_value_info("output_probability", maps)]
    return model("zipmap", nodes, [value("features", FLOAT, ["N", 2])], outputs, ml=3)


def sequence_output():
    sequence = helper.make_tensor_sequence_value_info("parts", FLOAT, None)
    return model("sequence-output", [node("SplitToSequence", ["x"], ["parts"], axis=0, keepdims=1)],
                 [value("x", FLOAT, ["batch", 2])], [sequence])


def external_escape():
    return outside_data("external-escape", "../outside.bin")


def gather():
    table = constant("table", [[10, 11, 12], [20, 21, 22], [30, 31, 32], [40, 41, 42]])
    return model("gather", [node("Gather", ["table", "ids"], ["rows"])], [value("ids", INT64, ["batch", 2])],
                 [value("rows", FLOAT, ["batch", 2, 3])], [table])


def no_batch():
    return model("no-batch", [node("Add", ["x", "one"], ["y"])], [value("x", FLOAT, [])], [value("y", FLOAT, [])],
                 [constant("one", 1)])


def passthrough():
    """The input is an output too, beside one that is computed."""
    return model("passthrough", [node("Neg", ["x"], ["y"])], [value("x", FLOAT, ["batch", "width"])],
                 [value("x", FLOAT, ["batch", "width"]), value("y", FLOAT, ["batch", "width"])])


def any_rank():
    return model("any-rank", [node("Add", ["x", "one"], ["y"])], [value("x", FLOAT, None)], [value("y", FLOAT, None)],
                 [constant("one", 1)])


def encoder():
    """Two layers of attention with four heads: its buffers grow with the batch and with the square of the width."""
    size, heads = 16, 4
    spread = lambda rows, salt: (((np.arange(rows * size) * 37 + salt) % 17 - 8) / 16).reshape(rows, size)
    constants = [constant("table", spread(32, 0)), constant("scale", (size / heads) ** -0.5),
                 constant("split", [0, 0, heads, size // heads], np.int64), constant("join", [0, 0, size], np.int64)]
    nodes, last = [node("Gather", ["table", "ids"], ["h0"])], "h0"
    for layer in range(2):
        at = lambda name, layer=layer: f"{name}{layer}"
        for part, order in (("q", (0, 2, 1, 3)), ("k", (0, 2, 3, 1)), ("v", (0, 2, 1, 3))):
            constants.append(constant(at(f"w{part}"), spread(size, 5 * layer + ord(part))))
            nodes += [node("MatMul", [last, at(f"w{part}")], [at(f"{part}a")]),
                      node("Reshape", [at(f"{part}a"), "split"], [at(f"{part}b")]),
                      node("Transpose", [at(f"{part}b")], [at(part)], perm=order)]
        nodes += [node("MatMul", [at("q"), at("k")], [at("raw")]), node("Mul", [at("raw"), "scale"], [at("scaled")]),
                  node("Softmax", [at("scaled")], [at("weights")]), node("MatMul", [at("weights"), at("v")], [at("mix")]),
                  node("Transpose", [at("mix")], [at("turned")], perm=(0, 2, 1, 3)),
                  node("Reshape", [at("turned"), "join"], [at("flat")]), node("Add", [at("flat"), last], [f"h{layer + 1}"])]
        last = f"h{layer + 1}"
    return model("encoder", nodes, [value("ids", INT64, ["batch", "width"])],
                 [value(last, FLOAT, ["batch", "width", size])], constants)


def optional_input():
    """y = scale * x + shift, where scale and shift have values of their own that a caller may override."""
    nodes = [node("Mul", ["x", "scale"], ["scaled"]), node("Cast", ["shift"], ["shift_float"], to=FLOAT),
             node("Add", ["scaled", "shift_float"], ["y"])]
    inputs = [value("x", FLOAT, ["batch", 2]), value("scale", FLOAT, []), value("shift", INT64, [2])]
    return model("optional-input", nodes, inputs, [value("y", FLOAT, ["batch", 2])],
                 [constant("scale", 2), constant("shift", [0, 1], np.int64)])


# === hostile ones ===


def outside_data(name, location):
    weight = TensorProto(name="w", data_type=FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, entry in {"location": location, "offset": "0", "length": "12"}.items():
        weight.external_data.add(key=key, value=entry)
    return model(name, [node("Add", ["x", "w"], ["y"])], [value("x", FLOAT, ["batch", 3])],
                 [value("y", FLOAT, ["batch", 3])], [weight])


def external_beside():
    return outside_data("external-beside", "weights.bin")


def external_absolute():
    return outside_data("external-absolute", "/etc/hostname")


def unknown_operator():
    return model("unknown-operator", [node("Frobnicate", ["x"], ["y"], domain="org.example")],
                 [value("x", FLOAT, ["batch", 3])], [value("y", FLOAT, ["batch", 3])])


def opset_99():
    return model("opset-99", [node("Identity", ["x"], ["y"])], [value("x", FLOAT, ["batch", 3])],
                 [value("y", FLOAT, ["batch", 3])], opset=99)


def ir_99():
    made = add_one()
    made.ir_version = 99
    return made


def big_matmul():
    """One node whose time the caller chooses: a product of two size x size matrices, which nothing can interrupt."""
    nodes = [node("Concat", ["size", "size"], ["shape"], axis=0),
             node("ConstantOfShape", ["shape"], ["matrix"], value=helper.make_tensor("one", FLOAT, [1], [1.0])),
             node("MatMul", ["matrix", "matrix"], ["product"]),
             node("ReduceMax", ["product"], ["y"], keepdims=0)]
    return model("big-matmul", nodes, [value("size", INT64, [1])], [value("y", FLOAT, [])])


def shape_bomb():
    """As many elements as the caller says."""
    return model("shape-bomb", [node("ConstantOfShape", ["shape"], ["y"])], [value("shape", INT64, [2])],
                 [value("y", FLOAT, [None, None])])


def folding_bomb():
    """A constant of 400 MB out of a hundred bytes, of which the run needs one element."""
    nodes = [node("Expand", ["one", "shape"], ["huge"]), node("ReduceMax", ["huge"], ["most"], keepdims=0),
             node("Add", ["x", "most"], ["y"])]
    return model("folding-bomb", nodes, [value("x", FLOAT, ["batch", 3])], [value("y", FLOAT, ["batch", 3])],
                 [constant("one", [[1]]), constant("shape", [10000, 10000], np.int64)])


HOSTILE = [external_beside, external_absolute, unknown_operator, opset_99, ir_99]
FILES = [add_one, fixed_sum, two_inputs, mixes_rows, batch_scalar_output, strings, dtypes, nan, slow, regressor, columns,
         zipmap, sequence_output, external_escape, gather, no_batch, passthrough, any_rank, optional_input,
         encoder, big_matmul, shape_bomb, folding_bomb, *HOSTILE]


# === trying them ===


def f32(rows):
    return np.array(rows, np.float32)


def i64(rows):
    return np.array(rows, np.int64)


def same(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def refused(run):
    try:
        run()
    except Exception as error:
        return error
    raise AssertionError("it was not refused")


def try_all(run):
    """`run(name, feed)` returns the outputs; raises AssertionError when a file is not what the README says."""
    same(run("add-one", {"x": f32([[1, 2, 3], [4, 5, 6]])})[0], [[2, 3, 4], [5, 6, 7]])
    same(run("fixed-sum", {"x": f32([[1, 2, 3], [4, 5, 6]])})[0], [6, 15])
    total, rows = run("two-inputs", {"a": f32([[0.5, 1]]), "b": i64([[2, 3]])})
    same(total, [[2.5, 4]]), same(rows, [[2, 3]])
    same(run("mixes-rows", {"x": f32([[1, 2, 3], [3, 2, 1]])})[0], [[-1, 0, 1], [1, 0, -1]])
    same(run("batch-scalar-output", {"x": f32([[1, 2, 3]])})[0], 6)
    assert run("strings", {"x": np.array(["é", ""], object)})[0].tolist() == ["é", ""]
    assert np.isnan(run("nan", {"x": f32([[-1], [1]])})[0]).tolist() == [[True], [False]]
    same(run("slow", {"x": f32([[1.5], [2]]), "iterations": i64([[3], [200]])})[0], [[1.5], [2]])
    same(run("regressor", {"features": f32([[1, 2, 3, 4]])})[0], [[8.5]])
    person = {"age": f32([[30]]), "income": f32([[1000]]), "visits": i64([[2]])}
    city = lambda name: run("columns", person | {"city": np.array([[name]], object)})
    print("fixtures: columns:", {name: [float(x) for x in city(name)[1][0]] for name in ("Berlin", "Oslo", "Lisbon", "elsewhere")})
    assert city("Berlin")[0] == [1] and city("Lisbon")[0] == [0]
    label, scores = run("zipmap", {"features": f32([[1, 0], [0, 4]])})
    assert label.tolist() == [3, 5] and list(scores[0]) == [3, 5, 9], scores
    assert len(run("sequence-output", {"x": f32([[1, 2], [3, 4]])})[0]) == 2
    print("fixtures: external-escape:", refused(lambda: run("external-escape", {"x": f32([[1, 2, 3]])})))
    for make in HOSTILE:
        name = make.__name__.replace("_", "-")
        print(f"fixtures: {name}:", repr(refused(lambda: run(name, {"x": f32([[1, 2, 3]])})))[:90])
    same(run("big-matmul", {"size": i64([3])})[0], 3)
    same(run("shape-bomb", {"shape": i64([2, 1])})[0], [[0], [0]])
    same(run("folding-bomb", {"x": f32([[1, 2, 3]])})[0], [[2, 3, 4]])
    same(run("gather", {"ids": i64([[0, 3]])})[0], [[[10, 11, 12], [40, 41, 42]]])
    print("fixtures: gather with id 99:", repr(refused(lambda: run("gather", {"ids": i64([[0, 99]])})))[:60])
    same(run("no-batch", {"x": f32(1)})[0], 2)
    handed_through, negated = run("passthrough", {"x": f32([[1, 2]])})
    same(handed_through, [[1, 2]]), same(negated, [[-1, -2]])
    for shape in ((), (0, 2), (2, 1, 2)):
        same(run("any-rank", {"x": np.ones(shape, np.float32)})[0], np.full(shape, 2))
    alone, both = run("encoder", {"ids": i64([[1, 2, 3]])})[0], run("encoder", {"ids": i64([[4, 5, 6], [1, 2, 3]])})[0]
    assert alone.shape == (1, 3, 16) and np.allclose(alone[0], both[1], atol=1e-5)
    same(run("optional-input", {"x": f32([[1, 2]])})[0], [[2, 5]])
    same(run("optional-input", {"x": f32([[1, 2]]), "scale": f32(3)})[0], [[3, 7]])


def try_dtypes(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {}
    for name, dtype in DTYPES.items():
        array = np.array([[1, 0]], dtype)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        feed[f"{name}_in"] = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, kind)
    outputs = session.run_with_ort_values(None, feed)
    wanted = [session_output.type for session_output in session.get_outputs()]
    assert [output.data_type() for output in outputs] == wanted, wanted
    return session


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file differs")
    args = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for make in FILES:
        name = make.__name__.replace("_", "-")
        graph = make()
        if make not in (external_escape, any_rank, *HOSTILE):  # data that does not exist, no shapes, not valid
            onnx.checker.check_model(graph, full_check=True)
        data, path = graph.SerializeToString(deterministic=True), FOLDER / f"{name}.onnx"
        if args.check and (not path.exists() or path.read_bytes() != data):
            sys.exit(f"fixtures: {path.name} is not what this script writes")
        if not args.check:
            path.write_bytes(data)
        print(f"fixtures: {path.name}: {len(data)} bytes")
    run = lambda name, feed: onnxruntime.InferenceSession(
        FOLDER / f"{name}.onnx", providers=["CPUExecutionProvider"]).run(None, feed)
    try_all(run)
    try_dtypes(FOLDER / "dtypes.onnx")
    print(f"fixtures: {len(FILES)} files do in ONNX Runtime {onnxruntime.__version__} what they are for")


if __name__ == "__main__":
    main()
