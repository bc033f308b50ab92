# SPDX-License-Identifier: Apache-2.0
"""The arena for a chip: what is emitted, from where its size comes, and what a plan does for it."""

import re
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from support import ROOT
from support.every_kind import MODELS
from support.every_op import one_operator_models
from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Run, read_manifest
from support.vendor_tflm import GEMMLOWP, HEADERS, RENAMED
from tflm_build.arena.layout import HOST, Layout, given_layout
from tflm_build.arena.replay import compute_arena
from tflm_build.arena.targets import arena_on, targets, with_sizes
from tflm_build.options import TARGETS, Options
from tflm_build.passes.canonical import canonicalize
from tflm_build.source.read_probe import read_probe

ARM = Layout(4, 1)


def test_each_target_computes_every_model() -> None:
    """A chip needs less than the host with reference kernels, whatever the model, and no less with a library."""
    for name, source in one_operator_models().items():
        model = canonicalize(source)
        host = compute_arena(model, HOST).bytes
        assert host
        for target in map(targets().__getitem__, "cortex-m0 cortex-m4 cortex-m55 esp32s3 esp32p4 riscv32".split()):
            needs = [compute_arena(model, layout).bytes or 0 for (layout,) in target.layouts.values()]
            assert 0 < needs[0] <= host, (name, target.name)
            less = name.startswith("TRANSPOSE_CONV int8") or name.endswith(" int4")  # CMSIS-NN unpacks no weights
            assert needs[0] <= needs[-1] or less, (name, target.name)
            assert arena_on(model, target, [*target.layouts][-1]).bytes == needs[-1]


def test_the_targets_are_those_of_the_option() -> None:
    assert set(TARGETS) == {"auto", *targets()}
    for target in targets().values():
        for library in target.layouts:
            assert Options(name="m", src="m.tflite", target=target.name, kernels=library).kernels == library


def test_what_is_emitted_is_what_the_target_needs(tflm_build: Run, tmp_path: Path) -> None:
    source = tmp_path / "cnn.tflite"
    source.write_bytes(MODELS["cnn"]())
    model = canonicalize(source.read_bytes())
    sizes = {}
    for target, choice, basis in (
        ("cortex-m4", "reference", "computed"), ("cortex-m55", "auto", "bound"), ("host", "auto", "measured")
    ):  # fmt: skip
        out = tmp_path / target
        arguments = ["--name", "m", "--src", source, "--target", target, "--kernels", choice]
        arguments += ["--plan", "off", "--shrink", "off"]
        result = tflm_build("convert", *arguments, "--out-dir", out)
        assert result.returncode == 0, result.stderr
        arena = read_manifest(out)["arena"]
        library = "cmsis-nn" if basis == "bound" else "reference"
        assert (arena["basis"], arena["target"], arena["kernels"]) == (basis, target, library)
        assert arena["smallest"] == arena_on(model, targets()[target], library).bytes
        sizes[target] = arena["size"]
        header = (out / "m.h").read_text()
        assert f"#define M_ARENA_SIZE {sizes[target]}u" in header
        assert (f"Computed for {target} with {library} kernels" in header) == (basis != "measured")
        assert (f"; computed for {target} with {library} kernels\n" in result.stdout) == (basis != "measured")
        assert set(re.findall(r"#define M_ARENA_SIZE (\d+)u", header)) == {str(sizes[target]), str(arena["host_size"])}
    assert sizes["cortex-m4"] < sizes["cortex-m55"]
    assert sizes["cortex-m4"] < sizes["host"]
    arguments = ["--name", "m", "--src", source, "--plan", "off", "--shrink", "off"]
    arguments += ["--max-arena", str(sizes["cortex-m4"])]
    result = tflm_build(
        "convert",
        *arguments,
        "--target",
        "cortex-m4",
        "--kernels",
        "reference",
        "--emit",
        "arena",
        "--out-dir",
        tmp_path,
    )
    assert result.returncode == 0, result.stderr
    result = tflm_build("convert", *arguments, "--target", "cortex-m55", "--out-dir", tmp_path)
    assert f"--max-arena is exceeded: got {sizes['cortex-m55']:,} B of arena" in result.stderr


def test_a_chip_that_is_not_known_gets_the_most(tflm_build: Run, tmp_path: Path) -> None:
    source = tmp_path / "cnn.tflite"
    source.write_bytes(MODELS["cnn"]())
    arguments = ["--name", "m", "--src", source, "--target", "any32", "--out-dir", tmp_path / "out"]
    result = tflm_build("convert", *arguments)
    assert result.returncode == 0, result.stderr
    words = "the most that a chip of 32 bits needs with any kernels; TARGET and KERNELS say which it is"
    assert f"; {words}\n" in result.stdout
    arena = read_manifest(tmp_path / "out")["arena"]
    assert (arena["basis"], arena["target"]) == ("bound", "any32")
    assert arena["size"] == max(each["size"] for each in arena["targets"])


def test_what_a_device_reported_is_emitted(tflm_build: Run, tmp_path: Path) -> None:
    source = tmp_path / "cnn.tflite"
    source.write_bytes(MODELS["cnn"]())
    arguments = ["--name", "m", "--src", source, "--target", "cortex-m55", "--out-dir", tmp_path / "out"]
    result = tflm_build("convert", *arguments, "--arena", "5008")
    assert result.returncode == 0, result.stderr
    assert "; as ARENA has it, which a device reported\n" in result.stdout
    arena = read_manifest(tmp_path / "out")["arena"]
    assert (arena["basis"], arena["size"], arena["target"]) == ("device", 5008, "cortex-m55")
    header = (tmp_path / "out" / "m.h").read_text()
    assert "#define M_ARENA_SIZE 5008u" in header
    assert "As ARENA has it, which a device reported. */" in header
    result = tflm_build("convert", *arguments, "--arena", "5K", "--max-arena", "5119")
    assert "--max-arena is exceeded: got 5,120 B of arena" in result.stderr
    result = tflm_build("convert", *arguments, "--arena", "12")
    assert "--arena got '12'; allowed: 1K to 1024M, as a device reported it" in result.stderr
    source.write_bytes(chain(128, 8))
    result = tflm_build("convert", *arguments, "--arena", "1K")
    assert "--arena got 1,024 B; allowed: more than the 2,176 B that activations alone take; pass" in result.stderr


@pytest.mark.parametrize(
    ("compiler", "layout", "tensor"),
    [(["g++"], Layout(8, 4), 112), (["arm-none-eabi-g++", "-mcpu=cortex-m55"], ARM, 28)],
)
def test_a_probe_tells_the_sizes_of_a_tflm(
    compiler: list[str], layout: Layout, tensor: int, tflm_build: Run, tmp_path: Path
) -> None:
    """The vendor's TFLM has other tensors than the wheel, and more so without TF_LITE_STATIC_MEMORY."""
    probe = tmp_path / "probe.o"
    flags: list[str | Path] = [] if layout.pointer == 8 else ["-DTF_LITE_STATIC_MEMORY"]
    flags += ["-std=c++17", "-fno-rtti", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", RENAMED]
    flags += ["-isystem", HEADERS, "-isystem", GEMMLOWP, "-c", "-o", probe, ROOT / "runtime" / "src" / "probe.cc"]
    subprocess.run([*compiler, *flags], check=True)
    sizes = read_probe(probe)
    assert (sizes["pointer"][0], sizes["enumeration"][0], sizes["Tensor"][0]) == (
        layout.pointer, layout.enumeration, tensor
    )  # fmt: skip
    given = given_layout(sizes, frozenset({"cmsis-nn"}))
    assert given.size("ConvData").bytes == layout.size("ConvData").bytes + layout.pointer  # and its alignment
    assert given.size("PoolData") == replace(layout, built_with=frozenset({"cmsis-nn"})).size("PoolData")
    source = tmp_path / "cnn.tflite"
    source.write_bytes(MODELS["cnn"]())
    target = "host" if layout.pointer == 8 else "cortex-m55"
    arguments = ["--name", "m", "--src", source, "--target", target, "--out-dir", tmp_path / "out", "--plan", "off"]
    result = tflm_build("convert", *arguments, "--shrink", "off", "--probe", probe)
    assert result.returncode == 0, result.stderr
    assert " kernels and the sizes of your TFLM's structures\n" in result.stdout
    arena = read_manifest(tmp_path / "out")["arena"]
    model = canonicalize(source.read_bytes())
    assert arena["smallest"] == max(
        compute_arena(model, each).bytes or 0
        for target_layouts in with_sizes(targets()[target], sizes).layouts.values()
        for each in target_layouts
    )
    assert str(probe) in (tmp_path / "out" / "m.d").read_text()
    if target == "host":  # the arena of a chip, in a build for this machine: the probe tells of the machine alone
        arguments[arguments.index(target)] = "cortex-m4"
        assert tflm_build("convert", *arguments, "--shrink", "off", "--probe", probe).returncode == 0
        other = read_manifest(tmp_path / "out")["arena"]
        assert other["smallest"] == arena_on(model, targets()["cortex-m4"], other["kernels"]).bytes
        assert other["host_size"] == arena["size"]


def test_a_probe_that_says_nothing(tflm_build: Run, tmp_path: Path) -> None:
    arguments = ["--name", "m", "--src", __file__, "--out-dir", tmp_path / "out", "--probe"]
    for probe, words in (
        (tmp_path / "none.o", "cannot be read: No such file or directory; build it anew"),
        (Path(__file__), "has no sizes of TFLM's structures; compile runtime/src/probe.cc without -flto"),
    ):
        result = tflm_build("convert", *arguments, probe)
        assert f"the probe '{probe}' {words}" in result.stderr


def chain(*channels: int) -> bytes:
    """Make a chain of convolutions: one by one where the channels change, else depthwise of three by three."""
    tensors, operators = [Tensor("x", (1, 4, 4, channels[0]), "int8", 0.5)], []
    options = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    for given, made in pairwise(channels):
        shape, deep = ((1, 3, 3, made), {"depthMultiplier": 1}) if given == made else ((made, 1, 1, given), {})
        last, place = max(0, len(tensors) - 1), len(tensors)
        tensors.append(Tensor(f"w{place}", shape, "int8", 0.5, data=np.ones(shape, np.int8)))
        tensors.append(Tensor(f"y{place}", (1, 4, 4, made), "int8", 0.5))
        op, kind = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if deep else ("CONV_2D", "Conv2DOptions")
        operators.append(Op(op, kind, (last, place), (place + 1,), options | deep))
    return flatbuffer(Model("m", tensors, operators, (0,), (len(tensors) - 1,), 0))


def test_a_plan_leaves_room_for_what_the_kernels_of_the_target_need(tflm_build: Run, tmp_path: Path) -> None:
    """Activations alone are planned as well by TFLM; with the vector kernels' memory they are not."""
    source = tmp_path / "chain.tflite"
    source.write_bytes(chain(320, 160, 80, 80))
    arguments = ["--name", "m", "--src", source, "--shrink", "off", "--out-dir", tmp_path / "out", "--report"]
    for target, helps in (("host", False), ("cortex-m55", True)):
        result = tflm_build("convert", *arguments, "--target", target)
        assert result.returncode == 0, result.stderr
        arena = read_manifest(tmp_path / "out")["arena"]
        assert (arena["planned"], arena["smallest"] < arena["smallest_unplanned"]) == (helps, helps)
        page = (tmp_path / "out" / "m.html").read_text()
        for each in arena["targets"]:
            row = f'<th scope="row">{each["target"]}</th><td>{each["kernels"]}</td>'
            assert f'{row}<td class="right">{each["size"]:,}</td>' in page
        assert f"The arena above is for {target} with {arena['kernels']} kernels" in page
