# SPDX-License-Identifier: Apache-2.0
"""Verify models in images that real compilers and linkers wrote, and refuse what went wrong in them."""

import hashlib
import json
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.images import ARM, BIG_ARM, MACHINE, RISCV, XTENSA, link_chip, link_host, patch
from support.interpreters import HELLO_WORLD, Run, read_manifest

SUCCESS = r"hello_world: 0x[0-9a-f]{8} in \.\w[\w.]*, 1,552 B, aligned to 16, read-only, right in 19 vectors on TFLM\n"


@pytest.fixture(scope="module")
def host(hello_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link_host(tmp_path_factory.mktemp("host image") / "program", hello_world)


@pytest.fixture(scope="module")
def arm(hello_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link_chip(tmp_path_factory.mktemp("arm image") / "firmware.elf", hello_world, ARM)


@pytest.fixture
def files(hello_world: Path, tmp_path: Path) -> Path:
    """Return a copy of the model's files that a test may change."""
    return Path(shutil.copytree(hello_world, tmp_path / "hello_world.tflm"))


@pytest.fixture
def passes(tflm_build: Run, hello_world: Path) -> Callable[[Path], None]:
    def check(image: Path) -> None:
        result = tflm_build("verify", image, "--model", hello_world / "hello_world.json")
        assert (result.returncode, result.stderr) == (0, "")
        assert re.fullmatch(SUCCESS, result.stdout), result.stdout

    return check


@pytest.fixture
def fails(tflm_build: Run, hello_world: Path) -> Callable[..., None]:
    def check(image: Path, *faults: str, manifest: Path | None = None) -> None:
        """Expect these faults and no others, a line each."""
        result = tflm_build("verify", image, "--model", manifest or hello_world / "hello_world.json")
        assert (result.returncode, result.stdout) == (1, "")
        lines = result.stderr.splitlines()
        assert len(lines) == len(faults), result.stderr
        for line, fault in zip(lines, faults, strict=True):
            assert re.match(f"tflm-build: error: hello_world: .*{fault}", line), line

    return check


def test_a_program_of_this_machine(host: Path, passes: Callable[..., None]) -> None:
    passes(host)


def test_firmware(arm: Path, passes: Callable[..., None]) -> None:
    passes(arm)


@pytest.mark.parametrize("compiler", [BIG_ARM, RISCV], ids=["big-endian Arm", "RISC-V"])
def test_firmware_for_another_chip(
    compiler: tuple[str, ...], hello_world: Path, tmp_path: Path, passes: Callable[..., None]
) -> None:
    passes(link_chip(tmp_path / "firmware.elf", hello_world, compiler))


def test_a_stand_in_for_xtensa(hello_world: Path, tmp_path: Path, passes: Callable[..., None]) -> None:
    """A RISC-V image that calls itself Xtensa, for which no compiler is at hand: its files are laid out the same."""
    image = link_chip(tmp_path / "firmware.elf", hello_world, RISCV)
    content = bytearray(image.read_bytes())
    struct.pack_into("<H", content, MACHINE, XTENSA)
    image.write_bytes(content)
    passes(image)


def test_flash_of_esp_idf_counts_as_writable_and_is_not(
    hello_world: Path, tmp_path: Path, passes: Callable[..., None], fails: Callable[..., None]
) -> None:
    image = link_chip(tmp_path / "firmware.elf", hello_world, RISCV, place="espressif")
    passes(image)
    fails(
        link_chip(image, hello_world, ARM, place="espressif"),
        r"is not in read-only memory: section \.flash\.rodata is writable;",
    )


def test_a_stripped_program(host: Path, tmp_path: Path, passes: Callable[..., None]) -> None:
    subprocess.run(["strip", host, "-o", tmp_path / "program"], check=True)
    passes(tmp_path / "program")


def test_a_program_without_section_headers(host: Path, tmp_path: Path, tflm_build: Run, hello_world: Path) -> None:
    """As newer strips can make it: the segments are enough to verify, but not to tell sizes."""
    content = bytearray(host.read_bytes())
    content[0x28:0x30] = bytes(8)  # their offset in the file
    image = tmp_path / "program"
    image.write_bytes(content)
    result = tflm_build("verify", image, "--model", hello_world / "hello_world.json")
    assert re.fullmatch(SUCCESS.replace(r" in \.\w[\w.]*", ""), result.stdout), result.stderr
    assert "IMAGE has no section headers to work sizes out of" in tflm_build("size", image).stderr


def test_stripped_firmware(arm: Path, tmp_path: Path, passes: Callable[..., None]) -> None:
    subprocess.run(["arm-none-eabi-strip", arm, "-o", tmp_path / "firmware.elf"], check=True)
    passes(tmp_path / "firmware.elf")


def test_weights_of_4_bits(hello_world: Path, tmp_path: Path, tflm_build: Run, fails: Callable[..., None]) -> None:
    """The golden vectors are those of these weights: the image of the same model at 8 bits has others."""
    arguments = ["--quantize", "int8", "--weight-type", "int4", "--out-dir", tmp_path]
    arguments += ["--src", hello_world / "hello_world.tflite", "--calibration", HELLO_WORLD / "calibration.npz"]
    made = tflm_build("convert", "--name", "hello_world", *arguments)
    assert made.returncode == 0, made.stderr
    image = link_host(tmp_path / "program", tmp_path)
    result = tflm_build("verify", image, "--model", tmp_path / "hello_world.json")
    size = (tmp_path / "hello_world.tflite").stat().st_size
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(SUCCESS.replace("1,552", f"{size:,}"), result.stdout), result.stdout
    data = (tmp_path / "hello_world.tflite").read_bytes()
    manifest = read_manifest(tmp_path)
    assert size < 1552
    assert [layer["weights"] for layer in manifest["narrow"]["layers"]]
    patch(image, data, 1000)
    fails(image, "not those of hello_world.json: .* at offset 1,000: ", manifest=tmp_path / "hello_world.json")


@pytest.mark.parametrize("offset", [0, 1000, 1551])
def test_a_patched_byte(
    offset: int, host: Path, arm: Path, hello_world: Path, tmp_path: Path, fails: Callable[..., None]
) -> None:
    flatbuffer = (hello_world / "hello_world.tflite").read_bytes()
    for original in (host, arm):
        image = Path(shutil.copy(original, tmp_path))
        patch(image, flatbuffer, offset)
        got, wanted = (f"0x{value:02x}" for value in (flatbuffer[offset] ^ 0x10, flatbuffer[offset]))
        fails(image, f"not those of hello_world.json: .* at offset {offset:,}: {got}, not {wanted}; link")


def test_a_patched_byte_in_a_stripped_image(
    arm: Path, hello_world: Path, tmp_path: Path, fails: Callable[..., None]
) -> None:
    image = tmp_path / "firmware.elf"
    subprocess.run(["arm-none-eabi-strip", arm, "-o", image], check=True)
    patch(image, (hello_world / "hello_world.tflite").read_bytes(), 1000)
    fails(image, "neither a symbol hello_world_data nor the bytes of hello_world.tflite")


@pytest.mark.parametrize(
    ("place", "faults"),
    [
        ("misaligned", ["lies at 0x000101.1; allowed: a multiple of 16; "]),
        (
            "copied",
            [r"at 0x20000000 is not in read-only memory: section \.models is copied to RAM from 0x000100.. at start"],
        ),
        (
            "beside variables",
            [r"at 0x20000000 is not in read-only memory: section \.models is beside variables, as \.data;"],
        ),
        ("beside constructors", [r"at 0x0001.* is not in read-only memory: section \.models is writable;"]),
        (
            "zeros",
            [
                "has no 1,552 B in the image file",
                r"is not in read-only memory: section \.models has no bytes in the image",
            ],
        ),
    ],
)
def test_a_wrong_linker_script(
    place: str, faults: list[str], hello_world: Path, tmp_path: Path, fails: Callable[..., None]
) -> None:
    fails(link_chip(tmp_path / "firmware.elf", hello_world, ARM, place=place), *faults)


def test_a_misaligned_array_of_a_program(hello_world: Path, tmp_path: Path, fails: Callable[..., None]) -> None:
    data = tmp_path / "data.S"
    text = (hello_world / "hello_world_data.S").read_text()
    data.write_text(text.replace("TFLM_LINE(.balign 16)\n", "TFLM_LINE(.balign 16)\nTFLM_LINE(.byte 0)\n", 1))
    fails(link_host(tmp_path / "program", hello_world, data=data), "lies at 0x.*1; allowed: a multiple of 16")


@pytest.mark.parametrize("machine", ["host", "Arm"])
def test_a_writable_array(machine: str, hello_world: Path, tmp_path: Path, fails: Callable[..., None]) -> None:
    if machine == "host":
        data = tmp_path / "data.c"
        text = (hello_world / "hello_world_data.c").read_text()
        data.write_text(text.replace("const unsigned char", "unsigned char"))
        image = link_host(tmp_path / "program", hello_world, data=data)
        fails(image, r"is not in read-only memory: section \.data is writable")
    else:
        files = Path(shutil.copytree(hello_world, tmp_path / "files"))
        text = (files / "hello_world_data.S").read_text()
        (files / "hello_world_data.S").write_text(text.replace('.rodata.hello_world_data,"a"', '.data.model,"aw"'))
        image = link_chip(tmp_path / "firmware.elf", files)
        fails(image, r"is not in read-only memory: section \.data is copied to RAM from 0x0001.* at start")


def test_a_segment_that_is_writable(hello_world: Path, tmp_path: Path, fails: Callable[..., None]) -> None:
    """The linker puts code, constants and variables into one segment: fine for a chip, not where it is heeded."""
    image = link_host(tmp_path / "program", hello_world, "-static", "-nostdlib", "-Wl,-N,-e,main")
    fails(image, r"is not in read-only memory: the segment of section \.rodata is writable")


def test_a_descriptor_of_another_build(tmp_path: Path, files: Path, fails: Callable[..., None]) -> None:
    header = files / "hello_world.h"
    header.write_text(re.sub(r"(_ARENA_SIZE) \d+u", r"\1 64u", header.read_text()))
    fails(link_host(tmp_path / "program", files), "hello_world_model states CRC-32 .* and an arena of 64 B; ")


def test_data_without_a_descriptor(hello_world: Path, tmp_path: Path, passes: Callable[..., None]) -> None:
    program = tmp_path / "main.c"
    program.write_text("extern const unsigned char hello_world_data[]; int main(void) { return hello_world_data[0]; }")
    image = tmp_path / "program"
    subprocess.run(["gcc", program, hello_world / "hello_world_data.c", "-o", image], check=True)
    passes(image)


def test_the_manifest_of_a_name(host: Path, files: Path, tflm_build: Run) -> None:
    """It is looked for beside the image, in two folders above, in the current folder, and there in <name>.tflm."""
    folder = files.parent / "a" / "b"
    folder.mkdir(parents=True)
    image = Path(shutil.copy(host, folder))
    result = tflm_build("verify", image, "--model", "hello_world", cwd=Path("/"))
    assert re.fullmatch(SUCCESS, result.stdout), result.stderr
    deeper = folder / "c" / "d"
    deeper.mkdir(parents=True)
    image = Path(shutil.copy(host, deeper))
    result = tflm_build("verify", image, "--model", "hello_world", cwd=deeper)
    assert result.returncode == 1
    places = ", ".join(map(str, (deeper, deeper.parent, folder)))
    assert f"no hello_world.json, nor hello_world.tflm/hello_world.json, in {places}; pass the path" in result.stderr
    assert tflm_build("verify", image, "--model", "hello_world", cwd=files).returncode == 0


def test_several_models_and_all_that_is_wrong(host: Path, cnn: Path, hello_world: Path, tflm_build: Run) -> None:
    models = ("missing", hello_world / "hello_world.json", cnn / "cnn.json")
    result = tflm_build("verify", host, *(part for model in models for part in ("--model", model)))
    assert result.returncode == 1
    assert re.fullmatch(SUCCESS, result.stdout)
    first, second = result.stderr.splitlines()
    assert first.startswith("tflm-build: error: missing: there is no missing.json")
    assert second.startswith("tflm-build: error: cnn: the image has neither a symbol cnn_data nor the bytes of cnn")


def change(folder: Path, edit: Callable[[Any], None]) -> Path:
    """Change what a manifest says."""
    manifest = read_manifest(folder)
    edit(manifest)
    path = folder / "hello_world.json"
    path.write_text(json.dumps(manifest))
    return path


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda manifest: manifest.update(schema_version=99), "its schema_version is 99; convert the model again"),
        (lambda manifest: manifest.pop("model"), "is damaged: KeyError: 'model'; convert the model again"),
        (lambda manifest: manifest["model"].update(sha256="0" * 64), "contradicts itself on the SHA-256"),
        (lambda manifest: manifest["model"].update(bytes=1000), "has 1,552 by .*; hello_world.json says 1,000 B"),
        (lambda manifest: manifest["options"].update(align=4096), "allowed: a multiple of 4096;"),
        (
            lambda manifest: manifest["arena"].update(size=16, host_size=32),
            "hello_world_model states .* hello_world.json .* 16 B",
        ),
    ],
)
def test_a_wrong_manifest(
    edit: Callable[[Any], None], fault: str, host: Path, files: Path, fails: Callable[..., None]
) -> None:
    fails(host, fault, manifest=change(files, edit))


def test_a_manifest_of_another_model_of_this_name(host: Path, files: Path, fails: Callable[..., None]) -> None:
    """Its bytes are as many, but others."""
    flatbuffer = bytearray((files / "hello_world.tflite").read_bytes())
    flatbuffer[-1] ^= 1
    (files / "hello_world.tflite").write_bytes(flatbuffer)
    digest = hashlib.sha256(flatbuffer).hexdigest()

    def edit(manifest: Any) -> None:
        manifest["model"]["sha256"] = manifest["files"]["hello_world.tflite"] = digest

    fails(host, r"the first byte that differs is at offset 1,551: ", manifest=change(files, edit))


def test_a_manifest_that_is_wrong_about_the_length_where_no_symbol_tells(
    host: Path, files: Path, tmp_path: Path, fails: Callable[..., None]
) -> None:
    subprocess.run(["strip", host, "-o", tmp_path / "program"], check=True)
    manifest = change(files, lambda manifest: manifest["model"].update(bytes=1000))
    fails(tmp_path / "program", "not those of hello_world.json: the SHA-256 is .*; link", manifest=manifest)


@pytest.mark.parametrize(
    ("content", "fault"),
    [("{", "is not valid JSON"), ("[" * 100_000, "is not valid JSON"), ("[]", "its schema_version is None")],
)
def test_a_file_that_is_no_manifest(
    content: str, fault: str, host: Path, files: Path, fails: Callable[..., None]
) -> None:
    path = files / "hello_world.json"
    path.write_text(content)
    fails(host, fault, manifest=path)


def test_a_model_that_is_not_beside_its_manifest(host: Path, files: Path, tflm_build: Run, tmp_path: Path) -> None:
    """Symbols are enough then, but a stripped image has none."""
    (files / "hello_world.tflite").unlink()
    assert tflm_build("verify", host, "--model", files / "hello_world.json").returncode == 0
    subprocess.run(["strip", host, "-o", tmp_path / "program"], check=True)
    result = tflm_build("verify", tmp_path / "program", "--model", files / "hello_world.json")
    assert "hello_world.tflite does not lie beside the manifest to look for its bytes" in result.stderr


def test_a_model_beside_the_manifest_that_is_another(host: Path, files: Path, fails: Callable[..., None]) -> None:
    (files / "hello_world.tflite").write_bytes(b"another")
    fails(host, "hello_world.tflite does not belong to hello_world.json", manifest=files / "hello_world.json")


def golden(files: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """Change golden vectors, and let the manifest say that they are the right ones."""
    path = files / "hello_world_golden.npz"
    with np.load(path) as loaded:
        arrays = dict(loaded)
    edit(arrays)
    np.savez(path, **arrays)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return change(files, lambda manifest: manifest["files"].update({path.name: digest}))


def test_golden_vectors_that_do_not_belong_to_it(
    host: Path, cnn: Path, files: Path, fails: Callable[..., None]
) -> None:
    shutil.copy(cnn / "cnn_golden.npz", files / "hello_world_golden.npz")
    manifest = files / "hello_world.json"
    fails(host, "hello_world_golden.npz does not belong to hello_world.json", manifest=manifest)
    (files / "hello_world_golden.npz").unlink()
    fails(host, "hello_world_golden.npz does not lie beside hello_world.json", manifest=manifest)


def replace_first(name: str) -> Callable[[dict[str, Any]], None]:
    def edit(arrays: dict[str, Any]) -> None:
        arrays[name][0] -= np.int8(2)

    return edit


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (replace_first("output_0"), "vector 0, output 0, element 0: .*, at most 0 away"),
        (lambda arrays: arrays.pop("input_0"), r"is of another model: input 0 is int8\[1, 1\], there none"),
        (lambda arrays: arrays.update(input_0=np.zeros((19, 2))), r"input 0 is int8\[1, 1\], there float64\[2\]"),
        (lambda arrays: arrays.update(output_0=arrays["output_0"][:3]), "does not have one answer for each input"),
        (lambda arrays: arrays.pop("tolerance"), "or one tolerance for each output"),
        (lambda arrays: arrays.update(tolerance=np.array([np.nan])), "or one tolerance for each output"),
    ],
)
def test_golden_vectors_of_another_model(
    edit: Callable[[dict[str, Any]], None], fault: str, host: Path, files: Path, fails: Callable[..., None]
) -> None:
    fails(host, fault, manifest=golden(files, edit))


def test_files_that_are_no_images(hello_world: Path, host: Path, tmp_path: Path, tflm_build: Run) -> None:
    objects = tmp_path / "data.o"
    subprocess.run(["gcc", "-c", hello_world / "hello_world_data.c", "-o", objects], check=True)
    cut = tmp_path / "cut"
    cut.write_bytes(host.read_bytes()[:5000])
    pipe = Path("/dev/zero")
    for image, fault in (
        (hello_world / "hello_world.tflite", "IMAGE is not an ELF file: it begins with"),
        (objects, "IMAGE is not linked: its ELF type is ET_REL; allowed: executables and shared objects"),
        (cut, "IMAGE is cut off: the section headers would end at"),
        (pipe, "it is no file"),
        (tmp_path / "missing", "there is no such file"),
        (tmp_path, "it is no file"),
    ):
        for command in (["verify", image, "--model", hello_world / "hello_world.json"], ["size", image]):
            result = tflm_build(*command)
            assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
            assert result.stderr.startswith(f"tflm-build: error: {image.name}: "), result.stderr
            assert fault in result.stderr, result.stderr
