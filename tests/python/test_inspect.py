# SPDX-License-Identifier: Apache-2.0
"""What `inspect` shows: of a manifest, of every kind of source, and of what strangers make."""

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import HELLO_WORLD, Run, read_manifest
from support.terminal import show
from tflm_build.describe.describe import describe
from tflm_build.model.flatbuffer import load, store

SCALE = 0.5


def branch() -> bytes:
    """Make a model with a branch: two convolutions of one input, added, and a dense layer behind them."""

    def numbers(*shape: int) -> np.ndarray[Any, Any]:
        return np.arange(np.prod(shape)).astype(np.int8).reshape(shape)

    tensors = [
        Tensor("image", (1, 4, 4, 3), "int8", SCALE, -1),
        Tensor("weights 1", (8, 3, 3, 3), "int8", SCALE, 0, numbers(8, 3, 3, 3)),
        Tensor("bias 1", (8,), "int32", SCALE, 0, np.arange(8, dtype=np.int32)),
        Tensor("left", (1, 4, 4, 8), "int8", SCALE),
        Tensor("weights 2", (1, 3, 3, 3), "int8", SCALE, 0, numbers(1, 3, 3, 3)),
        Tensor("middle", (1, 4, 4, 3), "int8", SCALE),
        Tensor("weights 3", (8, 1, 1, 3), "int8", SCALE, 0, numbers(8, 1, 1, 3)),
        Tensor("right", (1, 4, 4, 8), "int8", SCALE),
        Tensor("sum", (1, 4, 4, 8), "int8", SCALE),
        Tensor("weights 4", (5, 128), "int8", SCALE, 0, numbers(5, 128)),
        Tensor("scores", (1, 5), "int8", SCALE, 7),
        Tensor("bias 2", (3,), "int32", SCALE, 0, np.arange(3, dtype=np.int32)),
        Tensor("bias 3", (8,), "int32", SCALE, 0, np.arange(1, 9, dtype=np.int32)),
    ]
    same = {"padding": 0, "strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    ops = [
        Op("CONV_2D", "Conv2DOptions", (0, 1, 2), (3,), same),
        Op("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", (0, 4, 11), (5,), {**same, "depthMultiplier": 1}),
        Op("CONV_2D", "Conv2DOptions", (5, 6, 12), (7,), same),
        Op("ADD", "AddOptions", (3, 7), (8,)),
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (8, 9, -1), (10,)),
    ]
    return flatbuffer(Model("branch", tensors, ops, (0,), (10,), 0))


# Worked out by hand. MACs: 4*4*8 outputs of 3*3*3 products; 4*4*3 of 3*3; 4*4*8 of 3; none; 5 of 128. Alive: the image
# has 48 B and is read by the first two; left and right have 128 B, middle 48 B, sum 128 B, scores 5 B, that is 16.
BRANCH = """\
branch: int8, BYTES B of flash, 384 B of activations at once, 4,912 MACs
  source  tflite, SOURCE B

tensors
tensor    name    type  shape    scale  zero point
input 0   image   int8  1x4x4x3    0.5          -1
output 0  scores  int8  1x5        0.5           7

layers
#  layer                 op                 type  reads              writes    MACs   weights B  live B
0  left                  CONV_2D            int8  1x4x4x3            1x4x4x8   3,456        248     176
1  middle                DEPTHWISE_CONV_2D  int8  1x4x4x3            1x4x4x3     432         39     224
2  right                 CONV_2D            int8  1x4x4x3            1x4x4x8     384         56     304
3  sum                   ADD                int8  1x4x4x8 + 1x4x4x8  1x4x4x8       0          0     384
4  scores                FULLY_CONNECTED    int8  1x4x4x8            1x5         640        640     144
   total; live: at most                                                        4,912        983     384

ops
op                 count  kernel in TFLM
ADD                    1  AddAdd
CONV_2D                2  AddConv2D
DEPTHWISE_CONV_2D      1  AddDepthwiseConv2D
FULLY_CONNECTED        1  AddFullyConnected
"""


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_model_that_was_worked_out_by_hand(tflm_build: Run, tmp_path: Path) -> None:
    data = branch()
    result = tflm_build("inspect", write(tmp_path, "branch.tflite", data))
    assert (result.returncode, result.stderr) == (0, "")
    flash = describe(str(tmp_path / "branch.tflite"), check_files=True).bytes
    expected = BRANCH.replace("BYTES", f"{flash:,}").replace("SOURCE", f"{len(data):,}")
    shown, title, arenas = result.stdout.partition("\narena by target\n")
    assert [line.split() for line in shown.splitlines()] == [line.split() for line in expected.splitlines()]
    assert title
    sizes = {tuple(line.split()[:2]): line.split()[2] for line in arenas.splitlines()[1:-1]}
    assert list(sizes)[::4] == [("cortex-m0", "reference"), ("cortex-m55", "reference"), ("esp32p4", "reference")]
    assert sizes["cortex-m0", "reference"] == sizes["cortex-m55", "reference"]
    assert int(sizes["cortex-m55", "cmsis-nn"].replace(",", "")) > int(sizes["cortex-m4", "cmsis-nn"].replace(",", ""))


def test_a_manifest_and_its_source_give_the_same_rows(tflm_build: Run, tmp_path: Path) -> None:
    source = write(tmp_path, "branch.tflite", branch())
    out = tmp_path / "out"
    assert tflm_build("convert", "--name", "branch", "--src", source, "--out-dir", out).returncode == 0
    shown = [tflm_build("inspect", path).stdout for path in (source, out / "branch.json")]
    arena = f"  arena   {int((out / 'branch.arena').read_text()):,} B, 512 B of it for the interpreter\n"
    assert arena in shown[1]
    assert shown[1].replace(arena, "") == shown[0]
    manifest = read_manifest(out)
    assert max(layer["live_bytes"] for layer in manifest["layers"]) == manifest["arena"]["lower_bound"] == 384


def test_json_has_all_of_it(tflm_build: Run, hello_world: Path) -> None:
    result = tflm_build(
        "inspect", hello_world / "hello_world.json", "--json", "--target", "cortex-m4@80MHz", "--period", "100ms"
    )
    assert (result.returncode, result.stderr) == (0, "")
    content, manifest = json.loads(result.stdout), read_manifest(hello_world)
    assert content["layers"] == manifest["layers"]
    # The kernel that a build asks for is not told of a source, and both are shown alike.
    assert content["ops"] == [{key: used[key] for key in ("op", "count", "method")} for used in manifest["ops"]]
    assert content["macs"] == manifest["macs"] == 149
    assert content["built"]["arena"]["size"] == manifest["arena"]["size"]
    assert content["inputs"][0]["name"] == "x"
    estimate = content["estimate"]
    assert estimate["cycles"] == sum(estimate["layers"]) > 0
    assert estimate["seconds"] == estimate["cycles"] / 80e6
    assert estimate["duty_cycle"] == estimate["seconds"] / 0.1
    assert all(rate["source"] and rate["derivation"] for rate in estimate["rates"])


def test_no_tensorflow_for_a_flatbuffer(tflm_build: Run, tmp_path: Path) -> None:
    for module in ("tensorflow", "keras"):
        write(tmp_path, f"{module}.py", b"import os; os._exit(77)\n")
    source = write(tmp_path, "branch.tflite", branch())
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = tflm_build("inspect", source, env=environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout == tflm_build("inspect", source).stdout
    # Where TensorFlow is needed, it is what ends the child.
    result = tflm_build("inspect", HELLO_WORLD / "hello_world.keras", env=environment)
    assert (result.returncode, "status 77" in result.stderr) == (1, True), result.stderr


def test_a_keras_model_and_a_saved_model(tflm_build: Run, keras_models: Path) -> None:
    result = tflm_build("inspect", HELLO_WORLD / "hello_world.keras")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("hello_world: float32, ")
    assert "288 MACs\n  source  keras, " in result.stdout
    assert "\ninput 0   x  " in result.stdout
    folder = next(path.parent for path in sorted(keras_models.rglob("saved_model.pb")))
    result = tflm_build("inspect", folder, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["kind"] == "saved_model"


def test_memory_is_known_of_subgraphs_that_run_alone(tflm_build: Run, tmp_path: Path) -> None:
    model = load(branch())
    model.subgraphs.append(copy.deepcopy(model.subgraphs[0]))
    path = write(tmp_path, "m.tflite", store(model))
    result = tflm_build("inspect", path)
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [row[-1] for row in rows if row[:1] == ["9"]] == ["0"]  # nothing runs it
    (total,) = [row for row in rows if row[:1] == ["total;"]]
    assert total[:6] == ["total;", "live:", "at", "most", "9,824", "983"]
    assert int(total[6].replace(",", "")) > 0
    layers = json.loads(tflm_build("inspect", path, "--json").stdout)["layers"]
    assert [layer["subgraph"] for layer in layers] == [0] * 5 + [1] * 5


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("POW", "layer 'y' needs the op POW, for which TFLM has no kernel"),
        ("MyOp", "layer 'y' needs the op MyOp, for which TFLM has no kernel"),
        ("FlexErf", "layer 'y' (FlexErf) is an op of TensorFlow itself"),
    ],
)
def test_an_op_that_tflm_lacks_is_shown(code: str, refusal: str, tflm_build: Run, tmp_path: Path) -> None:
    tensors = [Tensor("x", (1, 4), "float32"), Tensor("y", (1, 4), "float32")]
    inputs = (0, 0) if code == "POW" else (0,)
    model = Model("m", tensors, [Op(code, "PowOptions" if code == "POW" else "", inputs, (1,))], (0,), (1,), 0)
    path = write(tmp_path, "m.tflite", flatbuffer(model))
    result = tflm_build("inspect", path)
    assert result.returncode == 0, result.stderr
    assert f"  TFLM    cannot run it: {refusal}" in result.stdout
    assert [line.split() for line in result.stdout.splitlines()][-1] == [code, "1", "none"]
    assert f"{code}  float32" in result.stdout
    (layer,) = json.loads(tflm_build("inspect", path, "--json").stdout)["layers"]
    assert layer["macs"] is None


HOSTILE = "[bold]\x1b[31m<script>alert(1)</script>\r\n\u202e|`x`"
SHOWN = r"[bold]\x1b[31m<script>alert(1)</script>\r\n\u202e|`x`"


def hostile() -> bytes:
    tensors = [Tensor(HOSTILE, (1, 4), "int8", SCALE), Tensor(HOSTILE, (1, 4), "int8", SCALE)]
    ops = [Op("ADD", "AddOptions", (0, 0), (1,)), Op(HOSTILE, "", (1,), (2,))]
    tensors.append(Tensor(HOSTILE, (1, 4), "int8", SCALE))
    return flatbuffer(Model(HOSTILE, tensors, ops, (0,), (2,), 0))


def test_names_with_markup_are_escaped(tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build("inspect", write(tmp_path, "m.tflite", hostile()))
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(SHOWN) >= 6
    assert result.stdout.replace("\n", "").isprintable()


def test_names_with_markup_are_escaped_on_a_terminal(tmp_path: Path) -> None:
    path = write(tmp_path, "m.tflite", hostile())
    command = [sys.executable, "-m", "tflm_build", "inspect", str(path)]
    text = show(command, TERM="dumb", COLUMNS="400", LINES="50", NO_COLOR="1")
    assert text.count(SHOWN) >= 6
    assert "━" in text
    assert "\x1b[31m" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("columns", [120, 80, 60])
def test_a_narrow_terminal(columns: int, hello_world: Path) -> None:
    """Columns give way, and what layers' names have in common; what is left is whole."""
    command = [sys.executable, "-m", "tflm_build", "inspect", str(hello_world / "hello_world.json")]
    text = show(command, TERM="dumb", COLUMNS=str(columns), LINES="50", NO_COLOR="1")
    assert max(map(len, text.splitlines())) <= columns
    names = re.findall(r"(\S*/MatMul) ", text)
    assert set(names) == {
        f"{'' if columns < 120 else 'hello_world_1/'}{name}/MatMul" for name in ("dense_1", "dense_1_2")
    }
    assert ("no room for: #, type, reads" in " ".join(text.split())) == (columns < 120)


def dense(layers: int, width: int) -> bytes:
    tensors = [Tensor("x", (1, width), "int8", SCALE)]
    ops = []
    for index in range(layers):
        weights = np.random.RandomState(index).randint(-128, 128, (width, width)).astype(np.int8)
        tensors += [Tensor("w", (width, width), "int8", SCALE, 0, weights), Tensor("y", (1, width), "int8", SCALE)]
        ops.append(Op("FULLY_CONNECTED", "FullyConnectedOptions", (2 * index, 2 * index + 1, -1), (2 * index + 2,)))
    return flatbuffer(Model("m", tensors, ops, (0,), (2 * layers,), 0))


@pytest.mark.parametrize(("layers", "width"), [(50, 1000), (2000, 8)])
def test_large_models(layers: int, width: int, tflm_build: Run, tmp_path: Path) -> None:
    """The first has 50 MB, the second 2,000 ops."""
    result = tflm_build("inspect", write(tmp_path, "m.tflite", dense(layers, width)), "--json")
    assert result.returncode == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["macs"] == layers * width**2
    assert {layer["live_bytes"] for layer in content["layers"]} == {2 * (width + 15) // 16 * 16}


def rewrite(folder: Path, hello_world: Path, change: Any) -> Path:
    content = read_manifest(hello_world)
    change(content)
    return write(folder, "m.json", json.dumps(content).encode())


BAD_MANIFESTS: dict[str, tuple[Any, str]] = {
    "missing": (lambda tmp, _: tmp / "no.json", "cannot be read: No such file or directory; check the path"),
    "truncated": (
        lambda tmp, built: write(tmp, "m.json", (built / "hello_world.json").read_bytes()[:-100]),
        "is not valid JSON; pass the manifest that convert has written",
    ),
    "not text": (lambda tmp, _: write(tmp, "m.json", b"\xff\xfe{}"), "is not valid JSON"),
    "deep": (lambda tmp, _: write(tmp, "m.json", b"[" * 100_000), "is not valid JSON"),
    "something else": (
        lambda tmp, _: write(tmp, "m.json", b'{"name": "package"}'),
        "is no manifest of version 1: its schema_version is None; convert the model again",
    ),
    "a list": (lambda tmp, _: write(tmp, "m.json", b"[1]"), "is no manifest of version 1: its schema_version is None"),
    "of another version": (
        lambda tmp, built: rewrite(tmp, built, lambda content: content.update(schema_version=2)),
        "is no manifest of version 1: its schema_version is 2; convert the model again, with this version of",
    ),
    "without layers": (
        lambda tmp, built: rewrite(tmp, built, lambda content: content.pop("layers")),
        "is damaged: it has no layers; convert the model again",
    ),
    "a number that is text": (
        lambda tmp, built: rewrite(tmp, built, lambda content: content["layers"][0].update(macs="many")),
        "is damaged: layers[0].macs is str, and not int; convert the model again",
    ),
    "a list that is none": (
        lambda tmp, built: rewrite(tmp, built, lambda content: content["inputs"][0].update(shape=None)),
        "is damaged: inputs[0].shape is null, and not a list",
    ),
    "an object that is none": (
        lambda tmp, built: rewrite(tmp, built, lambda content: content.update(arena=[])),
        "is damaged: arena is a list, and not an object",
    ),
    "another model's": (
        lambda tmp, built: (
            write(tmp, "hello_world.tflite", branch()),
            write(tmp, "m.json", (built / "hello_world.json").read_bytes()),
        )[1],
        "hello_world.tflite does not belong to m.json: its SHA-256 is ",
    ),
}


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_a_bad_manifest(case: str, tflm_build: Run, hello_world: Path, tmp_path: Path) -> None:
    make, message = BAD_MANIFESTS[case]
    path = make(tmp_path, hello_world)
    result = tflm_build("inspect", path)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"tflm-build: error: {path.name}: ")
    assert message in line


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """Yield the way to every value of a JSON document."""
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from leaves(member, (*path, key))


def test_whatever_a_manifest_holds_is_shown_or_refused(hello_world: Path, tmp_path: Path) -> None:
    from tflm_build.describe.compare import compare
    from tflm_build.describe.show_comparison import show_comparison
    from tflm_build.describe.show_inspection import show_inspection
    from tflm_build.errors import TflmBuildError

    values: tuple[Any, ...] = (None, "\x1b", -1, 1.5, [], {}, [None], True)
    good = describe(str(hello_world / "hello_world.json"), check_files=True)
    text = (hello_world / "hello_world.json").read_text()
    refused = 0
    for path in leaves(json.loads(text)):
        for wrong in values:
            content = json.loads(text)
            *way, last = path or (None,)
            if last is None:
                content = wrong
            else:
                place = content
                for key in way:
                    place = place[key]
                place[last] = wrong
            write(tmp_path, "m.json", json.dumps(content).encode())
            try:
                description = describe(str(tmp_path / "m.json"), check_files=True)
            except TflmBuildError as error:
                refused += 1
                assert str(error).isprintable()  # noqa: PT017 - half of them pass
                continue
            show_inspection(description, None, as_json=False)
            show_comparison(compare(good, description), (), "markdown")
    assert refused > 500


@pytest.mark.parametrize("content", [b"", b"garbage", b"\0\0\0\0TFL3", branch()[:400]])
def test_a_flatbuffer_that_is_none(content: bytes, tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build("inspect", write(tmp_path, "m.tflite", content))
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert "m.tflite: the source is not a valid TensorFlow Lite model: " in line


def test_a_reader_that_has_seen_enough(hello_world: Path) -> None:
    command = [sys.executable, "-m", "tflm_build", "inspect", str(hello_world / "hello_world.json"), "--json"]
    read, written = os.pipe()
    os.close(read)
    result = subprocess.run(command, stdout=written, stderr=subprocess.PIPE, check=False)
    os.close(written)
    assert b"error" not in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "cortex-m0+@48MHz"], "--target got 'cortex-m0+@48MHz'; allowed: CORE@CLOCK, such as cortex-m4@8"),
        (["--target", "cortex-m4"], "--target got 'cortex-m4'; allowed: CORE@CLOCK, such as cortex-m4@80MHz"),
        (["--target", "cortex-m4@80"], "--target got '80'; allowed: a positive number with Hz, kHz, MHz, GHz"),
        (["--target", "cortex-m4@0MHz"], "--target got '0MHz'; allowed: a positive number"),
        (["--target", "cortex-m4@80MHz", "--period", "1h"], "--period got '1h'; allowed: a positive number with ns,"),
        (["--target", "cortex-m4@80MHz", "--kernels", "reference"], "--kernels got 'reference'; allowed for cortex-m4"),
        (["--target", "cortex-m4@80MHz", "--active-power", "20"], "--active-power got '20'; allowed: a positive"),
        (["--target", "cortex-m4@80MHz", "--sleep-power", "1uW"], "--sleep-power needs --active-power and --period"),
    ],
)
def test_bad_conditions(arguments: list[str], message: str, tflm_build: Run, hello_world: Path) -> None:
    result = tflm_build("inspect", hello_world / "hello_world.json", *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert message in line


def test_conditions_without_a_target(tflm_build: Run, hello_world: Path) -> None:
    result = tflm_build("inspect", hello_world / "hello_world.json", "--period", "1s")
    assert result.returncode == 2
    assert "--period needs --target, such as cortex-m4@80MHz" in result.stderr
