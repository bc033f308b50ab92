# SPDX-License-Identifier: Apache-2.0
"""Weights of 4 bits: fitted to what layers see, proven as all layers are, and judged on other data."""

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Array, Run, litert_outputs, tflm_outputs
from support.narrowed import CLASSES, SHAPE, data, small_cnn
from support.terminal import show
from tflm_build.errors import TflmBuildError
from tflm_build.model.fixed_point import integers
from tflm_build.model.graph import Operator
from tflm_build.model.model import Model as Canonical
from tflm_build.options import Options
from tflm_build.passes.before_softmax import open_softmax
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.moments import gather_moments
from tflm_build.passes.narrow import as_rows, narrow_layer, narrow_model, narrowable, real_weights
from tflm_build.stages.narrow import wanted_weights


@pytest.fixture(scope="module")
def model() -> Canonical:
    return canonicalize(small_cnn())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model: Canonical) -> Path:
    """Save the model, calibration data, and test data with the classes that the model itself gives."""
    path = tmp_path_factory.mktemp("narrow")
    (path / "m.tflite").write_bytes(model.flatbuffer)
    np.savez(path / "calibration.npz", image=data(0, 60))
    images = data(1, 80)
    elements = np.clip(np.round(images / 0.02) + 3, -128, 127).astype(np.int8)
    labels = [int(tflm_outputs(model.flatbuffer, [image[None]])[0].argmax()) for image in elements]
    assert len(set(labels)) == CLASSES
    np.savez(path / "test.npz", image=images, labels=labels)
    return path


def convert(tflm_build: Run, folder: Path, out: str, *arguments: str) -> str:
    """Run the command on the model; return what it prints."""
    done = tflm_build(
        "convert", "m.tflite", "--name", "m", "--quantize", "int8", "--calibration", "calibration.npz",
        "--test-data", "test.npz", "--out-dir", out, *arguments, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    return str(done.stdout)


def float_answers(operator: Operator, elements: Array) -> Array:
    """Let LiteRT compute a layer in float32, with its kernel and without its bias, on steps from the zero point."""
    source, kernel = operator.reads[:2]
    output = operator.outputs[0]
    weights = integers(kernel)
    assert weights is not None
    tensors = [
        Tensor("x", source.shape, "float32"),
        Tensor("w", kernel.shape, "float32", data=weights.astype(np.float32)),
        Tensor("b", (output.shape[-1],), "float32", data=np.zeros(output.shape[-1], np.float32)),
        Tensor("y", output.shape, "float32"),
    ]
    settings = {**vars(operator.options), "fusedActivationFunction": 0}
    kind = type(operator.options).__name__.removesuffix("T")
    alone = flatbuffer(Model("m", tensors, [Op(operator.op, kind, (0, 1, 2), (3,), settings)], (0,), (3,), 0))
    steps = (elements - source.zero_points[0]).astype(np.float32)
    return np.stack([litert_outputs(alone, [each])[0] for each in steps.reshape(-1, *source.shape)])


def test_moments_are_those_of_what_kernels_multiply(model: Canonical) -> None:
    random = np.random.RandomState(0)
    operators = [model.graph.subgraphs[0].operators[place] for place in narrowable(model)]
    assert [operator.op for operator in operators] == ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "FULLY_CONNECTED"]
    for operator in operators:
        elements = random.randint(-128, 128, (3, *operator.reads[0].shape)).astype(np.int8)
        answers = float_answers(operator, elements).reshape(-1, operator.outputs[0].shape[-1])
        moments = gather_moments(operator, elements)
        weights = integers(operator.reads[1])
        assert weights is not None
        rows = as_rows(operator, weights).astype(np.float64)
        np.testing.assert_allclose((moments.mean * rows).sum(axis=1), answers.mean(axis=0), rtol=1e-5, atol=1e-3)
        ((_, products),) = moments.products()
        squares = np.einsum("on,gnm,om->o" if len(products) == 1 else "on,onm,om->o", rows, products, rows)
        np.testing.assert_allclose(squares, (answers.astype(np.float64) ** 2).mean(axis=0), rtol=1e-5)


def test_fitted_weights_change_answers_less_than_rounded_ones(model: Canonical) -> None:
    """Compare with the scale that the largest weight needs, on elements whose neighbours are alike."""
    random = np.random.RandomState(0)
    for place in narrowable(model):
        operator = model.graph.subgraphs[0].operators[place]
        shape = operator.reads[0].shape
        elements = random.randint(-90, 91, (64, *[1] * len(shape))) + random.randint(-20, 21, (64, *shape))
        moments = gather_moments(operator, elements.astype(np.int8))
        wanted = real_weights(operator)
        narrow = narrow_layer(operator, moments, wanted)
        assert int(np.abs(narrow.weights).max()) == 7
        assert len(narrow.scales) == (1 if operator.op == "FULLY_CONNECTED" else len(wanted))
        ends = np.abs(wanted).max() if operator.op == "FULLY_CONNECTED" else np.abs(wanted).max(axis=1, keepdims=True)
        plain = np.round(wanted / ends * 7) * ends / 7
        fitted = as_rows(operator, narrow.weights) * narrow.scales[:, None].astype(np.float64)
        ((_, spread),) = moments.covariances()

        def lost(rows: Array, wanted: Array = wanted, spread: Array = spread) -> float:
            away = rows - wanted
            return float((away * (away[:, None, :] @ spread)[:, 0]).sum())

        assert lost(fitted) < 0.5 * lost(plain), operator.op
        bias = operator.inputs[2]
        assert bias is not None
        assert bias.array is not None
        step = float(operator.reads[0].scales[0])
        before = bias.array * operator.reads[1].scales.astype(np.float64) * step
        mean = before + step * (wanted * moments.mean).sum(axis=1)
        after = step * (narrow.bias * narrow.scales.astype(np.float64) + (fitted * moments.mean).sum(axis=1))
        np.testing.assert_allclose(after, mean, atol=step * float(narrow.scales.max()))


def test_a_layer_without_data_and_one_of_zeros_are_rounded(model: Canonical) -> None:
    operator = model.graph.subgraphs[0].operators[0]
    still = np.full((1, *operator.reads[0].shape), operator.reads[0].zero_points[0], np.int8)
    moments = gather_moments(operator, still)
    wanted = real_weights(operator)
    narrow = narrow_layer(operator, moments, wanted)
    ends = np.abs(wanted).max(axis=1, keepdims=True) / 7
    away = as_rows(operator, narrow.weights) * narrow.scales[:, None] - wanted
    assert (away**2).sum() < ((np.round(wanted / ends) * ends - wanted) ** 2).sum()
    nothing = narrow_layer(operator, moments, np.zeros_like(wanted))
    assert not nothing.weights.any()
    assert np.isfinite(nothing.scales).all()
    assert (nothing.scales > 0).all()


def test_shared_weights_stay() -> None:
    tensors = [
        Tensor("x", (1, 4), "int8", 0.1),
        Tensor("w", (4, 4), "int8", 0.1, data=np.arange(16, dtype=np.int8)),
        Tensor("h", (1, 4), "int8", 0.5),
        Tensor("y", (1, 4), "int8", 0.5),
    ]
    ops = [
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1), (2,)),
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (2, 1), (3,)),
    ]
    twice = canonicalize(flatbuffer(Model("m", tensors, ops, (0,), (3,), 0)))
    assert narrowable(twice) == ()
    once = canonicalize(flatbuffer(Model("m", tensors, ops[:1], (0,), (2,), 0)))
    assert narrowable(once) == (0,)
    operator = once.graph.subgraphs[0].operators[0]
    layer = narrow_layer(operator, gather_moments(operator, [np.ones((1, 4), np.int8)]), real_weights(operator))
    assert not len(layer.bias)
    narrowed = narrow_model(once, {0: layer})
    assert narrowable(narrowed) == ()
    elements = np.array([[1, -2, 30, 4]], np.int8)
    np.testing.assert_array_equal(
        tflm_outputs(narrowed.flatbuffer, [elements]), litert_outputs(narrowed.flatbuffer, [elements])
    )
    assert canonicalize(narrowed.flatbuffer).flatbuffer == narrowed.flatbuffer


def test_softmax_is_opened(model: Canonical) -> None:
    opened = open_softmax(model)
    assert (opened.places, opened.count) == ((1,), 2)
    image = np.random.RandomState(0).randint(-128, 128, SHAPE).astype(np.int8)
    answer, before = tflm_outputs(opened.flatbuffer, [image], 2)
    np.testing.assert_array_equal(answer, tflm_outputs(model.flatbuffer, [image])[0])
    assert answer.argmax() == before.argmax()
    again = open_softmax(canonicalize(opened.flatbuffer))
    assert (again.places, again.count) == ((1, 1), 2)


@pytest.fixture(scope="module")
def sizes(tflm_build: Run, folder: Path) -> list[int]:
    """Return the bytes of the model before, and with all layers at 4 bits."""
    convert(tflm_build, folder, "all", "--weight-type", "int4")
    found: list[int] = json.loads((folder / "all" / "m.json").read_text())["narrow"]["bytes"]
    return found


def test_the_command_narrows_all_layers(tflm_build: Run, folder: Path, sizes: list[int]) -> None:
    plain = convert(tflm_build, folder, "int8")
    text = convert(tflm_build, folder, "int4", "--weight-type", "int4", "--report", "--min-sqnr", "15")
    assert "  weights 4 bits in 4 layers: -" in text
    assert " before a final SOFTMAX, top-1 " in text
    assert "by the int8 model on 80 samples" in text
    assert "weights 4 bits" not in plain
    assert (folder / "int4" / "m.tflite").read_bytes() == (folder / "all" / "m.tflite").read_bytes()
    before, after = (json.loads((folder / out / "m.json").read_text()) for out in ("int8", "int4"))
    found = after["narrow"]
    assert before["narrow"] is None
    assert found["bytes"] == [before["model"]["bytes"], after["model"]["bytes"]] == sizes
    assert found["bytes"][0] - found["bytes"][1] > 500
    assert [layer["weights"] for layer in found["layers"]] == [216, 144, 576, 144]
    assert found["sqnr_db"] > 15
    assert found["top1"] == after["accuracy"]["top1"] > 0.8
    assert after["model"]["quantization"] == "int8"
    assert all(layer["difference"] == 0 for layer in after["proof"]["layers"])
    assert after["arena"]["measured"] == after["arena"]["computed"] > before["arena"]["measured"]
    narrow = [weights for weights in after["weights"] if weights["type"] == "int4"]
    assert len(narrow) == 4
    assert all((weights["low"], weights["high"]) == (-8, 8) for weights in narrow)
    assert [sum(weights["counts"]) for weights in narrow] == [216, 144, 576, 144]
    page = (folder / "int4" / "m.html").read_text()
    assert page.count("<small>int4</small>") == 4
    assert "Weights have 4 bits in 4 layers, which saves " in page
    assert f"top-1 is {100 * found['top1']:.1f} %, by the int8 model on 80 samples." in page
    kernels = {op["op"]: op["kernel"] for op in after["ops"]}
    assert kernels["DEPTHWISE_CONV_2D"] == "Register_DEPTHWISE_CONV_2D_INT4"

    shown = tflm_build("inspect", folder / "int4" / "m.json", "--target", "cortex-m4@80MHz").stdout
    assert "4 layers have weights of 4 bits, which take longer" in shown
    assert shown.count("int8 x int4") == 4
    difference = tflm_build("diff", folder / "int8" / "m.json", folder / "int4" / "m.json").stdout
    assert "layers with int4 weights" in difference
    assert "option weight_type" in difference


def test_the_search_stops_at_the_budget(tflm_build: Run, folder: Path, sizes: list[int]) -> None:
    budget = sum(sizes) // 2
    text = convert(tflm_build, folder, "budget", "--weight-type", "auto", "--max-flash", str(budget))
    manifest = json.loads((folder / "budget" / "m.json").read_text())
    found = manifest["narrow"]
    assert sizes[1] < manifest["model"]["bytes"] <= budget
    assert 0 < len(found["layers"]) < 4
    first, *others = found["steps"]
    assert (first["layer"], first["bytes"], first["sqnr_db"]) == ("", sizes[0], None)
    added = [step for step in others if step["bits"] == 4]
    assert all(step["bytes"] > budget for step in added[:-1])
    kept = [step["layer"] for step in others if step["bits"] == 4 and step["accepted"]]
    back = [step["layer"] for step in others if step["bits"] == 8 and step["accepted"]]
    assert sorted(set(kept) - set(back)) == sorted(layer["layer"] for layer in found["layers"])
    last = next(step for step in reversed(others) if step["accepted"])
    assert (last["bytes"], last["sqnr_db"]) == (manifest["model"]["bytes"], found["sqnr_db"])
    assert last["arena"] == manifest["arena"]["size"]
    rows = [line for line in text.splitlines() if " bits " in line and line.startswith("    ")]
    assert len(rows) == len(found["steps"])
    assert all(f"{step['bytes']:,} B" in row for step, row in zip(found["steps"], rows, strict=True))
    assert f"of {found['searched']}  arena {last['arena']:,} B" in text


def test_the_search_holds_floors(tflm_build: Run, folder: Path, sizes: list[int]) -> None:
    convert(tflm_build, folder, "floor", "--weight-type", "auto", "--min-sqnr", "20", "--min-top1", "0.9")
    manifest = json.loads((folder / "floor" / "m.json").read_text())
    found = manifest["narrow"]
    assert sizes[1] < manifest["model"]["bytes"] < sizes[0]
    assert len(found["steps"]) == 5
    for step in found["steps"][1:]:
        assert step["accepted"] == (step["sqnr_db"] >= 20 and step["top1"] >= 0.9)
    assert {step["accepted"] for step in found["steps"]} == {True, False}


def test_the_search_leaves_alone_what_has_no_room_in_the_arena(folder: Path) -> None:
    """Look at a terminal, too, where a bar moves while it searches."""
    size = json.loads((folder / "int8" / "m.json").read_text())["arena"]["size"] + 100
    shown = show(
        [sys.executable, "-m", "tflm_build", "convert", "m.tflite", "--name", "m", "--quantize", "int8",
         "--calibration", "calibration.npz", "--weight-type", "auto", "--min-sqnr", "0", "--max-arena", str(size),
         "--out-dir", "arena"],
        folder=folder, COLUMNS="150", TERM="xterm",
    )  # fmt: skip
    assert "m: fitting weights of 4 bits" in shown
    assert "warning: weights of 4 bits are judged on 16 samples that they were fitted to" in shown
    steps = json.loads((folder / "arena" / "m.json").read_text())["narrow"]["steps"]
    assert all(step["accepted"] == (step["arena"] <= size) for step in steps)
    assert {step["accepted"] for step in steps} == {True, False}


def test_a_budget_that_no_mix_keeps(tflm_build: Run, folder: Path, sizes: list[int]) -> None:
    done = tflm_build(
        "convert", "m.tflite", "--quantize", "int8", "--calibration", "calibration.npz", "--weight-type", "auto",
        "--max-flash", str(sizes[1] - 1), "--out-dir", "none", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 1
    message = f"for --max-flash: the smallest that it may take has {sizes[1]:,} B and an SQNR of "
    assert f"finds no mix of weights {message}" in done.stderr
    assert done.stderr.endswith(f" dB; allowed: {sizes[1] - 1:,} B; raise it\n")
    done = tflm_build(
        "convert", "m.tflite", "--quantize", "int8", "--calibration", "calibration.npz", "--weight-type", "auto",
        "--max-flash", str(sizes[1]), "--min-sqnr", "99", "--max-arena", "1M", "--out-dir", "none", cwd=folder,
    )  # fmt: skip
    assert f"has {sizes[0]:,} B and no noise; allowed: {sizes[1]:,} B; " in done.stderr
    assert done.stderr.endswith("raise it or --max-arena, or lower --min-sqnr\n")


def test_a_float_model_is_what_weights_are_fitted_to_and_judged_by(tflm_build: Run, tmp_path: Path) -> None:
    random = np.random.RandomState(3)
    sizes = (12, 20, 4)
    tensors = [Tensor("x", (1, sizes[0]), "float32")]
    for place, (reads, writes) in enumerate(pairwise(sizes)):
        weights = (random.standard_normal((writes, reads)) / 3).astype(np.float32)
        tensors += [
            Tensor(f"w{place}", weights.shape, "float32", data=weights),
            Tensor(f"b{place}", (writes,), "float32", data=random.uniform(-1, 1, writes).astype(np.float32)),
            Tensor(f"y{place}", (1, writes), "float32"),
        ]
    tensors.append(Tensor("classes", (1, sizes[-1]), "float32"))
    ops = [
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, 2), (3,), {"fusedActivationFunction": 1}),
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (3, 4, 5), (6,)),
        Op("SOFTMAX", "SoftmaxOptions", (6,), (7,), {"beta": 1.0}),
    ]
    (tmp_path / "m.tflite").write_bytes(flatbuffer(Model("m", tensors, ops, (0,), (7,), 0)))
    np.save(tmp_path / "x.npy", random.uniform(-1, 1, (80, sizes[0])).astype(np.float32))
    np.save(tmp_path / "test.npy", random.uniform(-1, 1, (50, sizes[0])).astype(np.float32))
    found = {}
    for weight_type in ("int8", "int4"):
        done = tflm_build(
            "convert", "m.tflite", "--quantize", "int8", "--calibration", "x.npy", "--test-data", "test.npy",
            "--weight-type", weight_type, "--min-sqnr", "9", "--out-dir", weight_type, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found[weight_type] = json.loads((tmp_path / weight_type / "m.json").read_text())["narrow"]
        assert "before a final SOFTMAX, top-1 " in done.stdout
        assert "by the float model on 50 samples" in done.stdout
    assert not found["int8"]["layers"]
    assert [layer["weights"] for layer in found["int4"]["layers"]] == [240, 80]
    assert found["int8"]["sqnr_db"] > found["int4"]["sqnr_db"] > 9
    assert all(narrow["test_data"] and narrow["judge"] == "the float model" for narrow in found.values())

    operator = canonicalize((tmp_path / "int8" / "m.tflite").read_bytes()).graph.subgraphs[0].operators[0]
    data = tensors[1].data
    assert data is not None
    np.testing.assert_array_equal(wanted_weights(operator, data), data)
    for other in (None, data[:, :-1], -data):  # nothing, of another shape, or not what it was quantized from
        np.testing.assert_array_equal(wanted_weights(operator, other), real_weights(operator))


def test_less_than_min_sqnr_is_refused(tflm_build: Run, folder: Path) -> None:
    done = tflm_build(
        "convert", "m.tflite", "--quantize", "int8", "--calibration", "calibration.npz", "--weight-type", "int4",
        "--min-sqnr", "60", "--out-dir", "refused", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 1
    assert "warning" not in done.stdout
    assert "--min-sqnr: the model has " in done.stderr
    assert " dB against the int8 model on 16 samples; allowed: 60 and more; " in done.stderr
    assert not (folder / "refused" / "m.json").exists()


def test_min_sqnr_needs_a_float_model(tflm_build: Run, folder: Path) -> None:
    done = tflm_build("convert", "m.tflite", "--test-data", "test.npz", "--min-sqnr", "9", cwd=folder)
    assert "--min-sqnr needs a float source, and data; got none" in done.stderr


def test_a_model_without_such_layers_is_refused(tflm_build: Run, tmp_path: Path) -> None:
    tensors = [Tensor("x", (1, 4), "int8", 0.1), Tensor("y", (1, 4), "int8", 1 / 256, -128)]
    op = Op("SOFTMAX", "SoftmaxOptions", (0,), (1,), {"beta": 1.0})
    (tmp_path / "m.tflite").write_bytes(flatbuffer(Model("m", tensors, [op], (0,), (1,), 0)))
    np.save(tmp_path / "x.npy", np.zeros((3, 4), np.float32) + np.arange(3)[:, None])
    done = tflm_build(
        "convert", "m.tflite", "--quantize", "int8", "--calibration", "x.npy", "--weight-type", "int4", cwd=tmp_path
    )
    assert (
        "the model has no CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED of int8 with weights of its own" in done.stderr
    )


@pytest.mark.parametrize(("options", "message"), [
    ({"weight_type": "int4"}, "needs QUANTIZE int8, also where SRC is quantized already; got QUANTIZE none"),
    ({"weight_type": "int4", "quantize": "int16x8", "calibration": "c.npz"}, "got QUANTIZE int16x8"),
    ({"weight_type": "int4", "quantize": "int8"}, "WEIGHT_TYPE int4 needs CALIBRATION data, to round weights by"),
    ({"weight_type": "auto", "quantize": "int8", "calibration": "c.npz"}, "needs a budget or a floor to search for"),
    (
        {"weight_type": "auto", "quantize": "int8", "calibration": "random:9", "max_flash": "9K"},
        "WEIGHT_TYPE auto needs real data to judge by; got random data",
    ),
    ({"weight_type": "int2"}, "WEIGHT_TYPE got 'int2'; allowed: int8, int4, auto"),
    ({"min_sqnr": -1.0}, "MIN_SQNR got -1; allowed: 0 and more"),
])  # fmt: skip
def test_options_that_contradict(options: dict[str, object], message: str) -> None:
    with pytest.raises(TflmBuildError) as error:
        Options(name="m", src="m.tflite", **options)  # type: ignore[arg-type]
    assert message in str(error.value)
