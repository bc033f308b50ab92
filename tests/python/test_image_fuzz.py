# SPDX-License-Identifier: Apache-2.0
"""Whatever an image is made of: it is verified and sized, or refused in one line, in time and without much memory."""

import random
import resource
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.images import ARM, link_chip, link_host
from support.interpreters import Run
from support.mutations import KINDS
from tflm_build.errors import TflmBuildError
from tflm_build.image.read import read_image
from tflm_build.image.size import size_image
from tflm_build.image.verify import verify_image
from tflm_build.manifest.read import Manifest, read_manifest

COUNT, CHUNK = 1200, 200
SECONDS = 5
HEADER, SECTION, SEGMENT, SYMBOL = 64, 64, 56, 24  # bytes, of 64 bits


@pytest.fixture(scope="module")
def images(hello_world: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("images")
    stripped = link_host(folder / "stripped", hello_world)
    subprocess.run(["strip", stripped], check=True)
    paths = (link_host(folder / "host", hello_world), link_chip(folder / "arm", hello_world, ARM), stripped)
    return [path.read_bytes() for path in paths]


@pytest.fixture(scope="module")
def manifest(hello_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return a manifest without golden vectors beside it: what TFLM answers is not in question, and takes time."""
    folder = tmp_path_factory.mktemp("files")
    for end in (".json", ".tflite"):
        shutil.copy(hello_world / f"hello_world{end}", folder)
    return read_manifest(folder / "hello_world.json")


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    """Let what would take gigabytes fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with Path("/proc/self/statm").open() as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def use(path: Path, manifest: Manifest) -> list[str]:
    """Read, verify and size an image; return what was refused."""
    errors: list[str] = []
    start = time.monotonic()
    try:
        image = read_image(path)
        errors += verify_image(image, manifest).faults
        size_image(image)
    except TflmBuildError as error:
        errors.append(str(error))
    assert time.monotonic() - start < SECONDS
    assert all(error and "\n" not in error for error in errors)
    return errors


def mutate(images: list[bytes], seed: int) -> bytes:
    """Damage an image: half of the seeds anywhere, half in its headers and symbols."""
    generator = random.Random(seed)  # noqa: S311 - damage has to be repeatable, not secret
    original = images[seed // 2 % len(images)]
    content = bytearray(original)
    wide = original[4] == 2
    offsets = struct.unpack_from("<2Q" if wide else "<2I", original, 32 if wide else 28)
    for _ in range(generator.choice((1, 1, 2, 4))):
        if seed % 2:
            start = generator.choice((0, 0, *offsets, *offsets, len(original) // 2, len(original) - 4096))
            part = content[start : start + generator.choice((HEADER, 1024))]
            if len(part) > 8:
                generator.choice(KINDS[:5])(generator, part, original)
                content[start : start + len(part)] = part
        else:
            generator.choice(KINDS)(generator, content, generator.choice(images))
    return bytes(content)


@pytest.mark.parametrize("first", range(0, COUNT, CHUNK))
def test_mutations_through_the_library(first: int, images: list[bytes], manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "image"
    refused = 0
    for seed in range(first, first + CHUNK):
        path.write_bytes(mutate(images, seed))
        try:
            errors = use(path, manifest)
        except Exception as error:
            msg = f"mutation {seed}: {type(error).__name__}: {error}"
            raise AssertionError(msg) from error
        # The golden vectors are missing in any case.
        refused += not (len(errors) == 1 and "hello_world_golden.npz does not lie beside" in errors[0])
    assert 0 < refused < CHUNK


def test_mutations_through_the_command(images: list[bytes], hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    path = tmp_path / "image"
    for seed in range(COUNT, COUNT + 8):
        path.write_bytes(mutate(images, seed))
        for command in (["verify", path, "--model", hello_world / "hello_world.json"], ["size", path]):
            result = tflm_build(*command, timeout=30)
            assert result.returncode in {0, 1}, result
            lines = result.stderr.splitlines()
            assert (result.returncode == 1) == bool(lines), result
            assert all(line.startswith("tflm-build: error: ") for line in lines), result.stderr


def header(**fields: int) -> bytes:
    """Return the header of an executable for x86-64, followed by nothing."""
    values = {"phoff": 0, "shoff": 0, "phnum": 0, "shnum": 0, "shstrndx": 0, **fields}
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<2HI3QI6H", 2, 62, 1, 0, values["phoff"], values["shoff"], 0, HEADER,
        SEGMENT, values["phnum"], SECTION, values["shnum"], values["shstrndx"],
    )  # fmt: skip


def section(kind: int, flags: int, offset: int, size: int, link: int = 0, address: int = 0) -> bytes:
    return struct.pack("<2I4Q2I2Q", 1, kind, flags, address, offset, size, link, 0, 1, 0)


def segment(offset: int, size: int, address: int = 0) -> bytes:
    return struct.pack("<2I6Q", 1, 4, offset, address, address, size, size, 1)


def write_hole(path: Path, begin: bytes, size: int) -> Path:
    """Write a file that is as large as it says, and takes no room."""
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(size)
    return path


def hostile(path: Path) -> Iterator[tuple[Path, str]]:
    """Write images that are made to take time and memory, with what is said of each."""
    huge = 1 << 36
    begin = header(phoff=HEADER, phnum=1) + segment(0, huge)
    yield write_hole(path, begin, huge), "B in its loaded segments; allowed: 268,435,456"
    begin = header(phoff=HEADER, phnum=100) + segment(0, 200 << 20) * 100
    yield write_hole(path, begin, 200 << 20), "B in its loaded segments; allowed: 58,720,256"
    yield write_hole(path, header(phoff=HEADER, phnum=0xFFFF), huge), "has too many segments; at most 128"
    begin = header(shoff=HEADER) + section(0, 0, 0, 1 << 62)
    yield write_hole(path, begin, huge), "has too many sections; at most 65,280"
    symbols = section(2, 0, 4096, huge >> 1, 1) + section(3, 0, 4096, 1 << 20)
    yield write_hole(path, header(shoff=HEADER, shnum=2) + symbols, huge), "in its symbol table; allowed: 33,554,432"
    symbols = section(2, 0, 4096, 1 << 20, 1) + section(3, 0, 4096, huge >> 1)
    yield write_hole(path, header(shoff=HEADER, shnum=2) + symbols, huge), "in a table of names; allowed: 134,217,728"


def test_images_that_are_made_to_take_memory(manifest: Manifest, tmp_path: Path) -> None:
    for path, fault in hostile(tmp_path / "image"):
        (error,) = use(path, manifest)
        assert fault in error


def test_many_symbols_with_long_names(manifest: Manifest, tmp_path: Path) -> None:
    """An eighth of what is allowed, all of one name, in one of many sections."""
    count, names = (4 << 20) // SYMBOL, b"\0" + b"tflm" * (1 << 20)
    sections = 1000
    start = HEADER + sections * SECTION
    symbol = struct.pack("<I2BH2Q", 1, 0x11, 0, 2, 0x1000, 8)
    headers = section(2, 0, start, count * SYMBOL, 1) + section(3, 0, start + count * SYMBOL, len(names))
    headers += section(1, 2, 0, 64, address=0x1000) * (sections - 2)
    path = tmp_path / "image"
    path.write_bytes(header(shoff=HEADER, shnum=sections) + headers + symbol * count + names)
    (error,) = use(path, manifest)
    assert "has neither a symbol hello_world_data nor the bytes of hello_world.tflite" in error
