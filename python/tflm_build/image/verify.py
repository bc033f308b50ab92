# SPDX-License-Identifier: Apache-2.0
"""Check a linked image against the manifest of a model in it: its bytes, their address, and what they answer."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflm_build.errors import TflmBuildError
from tflm_build.image.find_model import Embedded, find_model
from tflm_build.image.ram import ram_reason
from tflm_build.image.read import Image, read_image
from tflm_build.image.vectors import verify_vectors
from tflm_build.manifest.read import Manifest, find_manifest, read_manifest

__all__ = ["Verdict", "verify_image", "verify_models"]


@dataclass(frozen=True)
class Verdict:
    """What is to be said about a model in an image.

    Attributes:
        model: its name, or what it was called.
        summary: a line, if nothing is wrong.
        faults: all that is wrong, a line each.
    """

    model: str
    summary: str
    faults: tuple[str, ...]


def verify_models(path: Path, models: Sequence[str]) -> tuple[Verdict, ...]:
    """Check models in an image.

    Args:
        path: of the image.
        models: names, or paths of manifests.

    Raises:
        TflmBuildError: the file is not a linked image.
    """
    image = read_image(path)
    return tuple(_verify_model(image, path, model) for model in models)


def _verify_model(image: Image, path: Path, model: str) -> Verdict:
    """Find the manifest of a model, and check the image."""
    try:
        manifest = read_manifest(find_manifest(model, path))
    except TflmBuildError as error:
        return Verdict(Path(model).stem, "", (str(error),))
    return verify_image(image, manifest)


def verify_image(image: Image, manifest: Manifest) -> Verdict:
    """Check a model in an image, and run it if its bytes are the right ones."""
    faults: list[str] = []
    flatbuffer = None
    try:
        flatbuffer = manifest.read(".tflite")
    except TflmBuildError as error:
        faults.append(str(error))
    try:
        model = find_model(image, manifest.symbol, manifest.name, flatbuffer)
    except TflmBuildError as error:
        return Verdict(manifest.name, "", (*faults, str(error)))
    content = image.read(model.address, manifest.size)
    wrong = [*_check_content(manifest, model, content, flatbuffer)]
    faults += [*wrong, *_check_place(image, manifest, model), *_check_descriptor(image, manifest, model)]
    vectors = ""
    if content is not None and not wrong:
        try:
            vectors = verify_vectors(manifest, content)
        except TflmBuildError as error:
            faults.append(str(error))
    section = image.section(model.address)
    where = f"0x{model.address:08x}" + (f" in {section.name}" if section else "")
    summary = (
        f"{manifest.name}: {where}, {manifest.size:,} B, aligned to {manifest.align}, read-only, "
        f"right in {'a sequence of ' if manifest.sequence else ''}{vectors}"
    )
    return Verdict(manifest.name, summary, tuple(faults))


def _check_content(
    manifest: Manifest, model: Embedded, content: bytes | None, flatbuffer: bytes | None
) -> Iterator[str]:
    """Compare size and bytes with the manifest's."""
    wrong = [f"{size:,} by {who}" for who, size in model.sizes.items() if size != manifest.size]
    if wrong:
        yield (
            f"the image's model has {', '.join(wrong)}; {manifest.path.name} says {manifest.size:,} B; link the files "
            "that belong to it"
        )
    elif content is None:
        yield (
            f"the model at 0x{model.address:08x} has no {manifest.size:,} B in the image file; put it into a section "
            "that is loaded and not filled with zeros"
        )
    elif (digest := hashlib.sha256(content).hexdigest()) != manifest.sha256:
        # A manifest from a stranger may be wrong about the length of its own model.
        where = ""
        if flatbuffer is not None and len(flatbuffer) == len(content):
            where = _first_difference(content, flatbuffer)
        yield (
            f"the model's bytes in the image are not those of {manifest.path.name}: the SHA-256 is {digest[:16]}..., "
            f"expected {manifest.sha256[:16]}...{where}; link the files that belong to the manifest"
        )


def _first_difference(got: bytes, right: bytes) -> str:
    """Say where two byte strings of one length differ."""
    offset = int(np.argmax(np.frombuffer(got, np.uint8) != np.frombuffer(right, np.uint8)))
    values = f"0x{got[offset]:02x}, not 0x{right[offset]:02x}"
    return f", and the first byte that differs is at offset {offset:,}: {values}"


def _check_place(image: Image, manifest: Manifest, model: Embedded) -> Iterator[str]:
    """Check that the model is aligned, and stays in memory that nothing writes to."""
    if model.address % manifest.align:
        yield (
            f"the model lies at 0x{model.address:08x}; allowed: a multiple of {manifest.align}; keep the alignment of "
            f"its section in the linker script, as with ALIGN({manifest.align})"
        )
    reason = ram_reason(image, model.address)
    if reason:
        yield (
            f"the model at 0x{model.address:08x} is not in read-only memory: {reason}; declare the array const, and "
            "put its section beside those of constants in the linker script"
        )


def _check_descriptor(image: Image, manifest: Manifest, model: Embedded) -> Iterator[str]:
    """Check that the descriptor is that of the manifest, where there is one. Its size is checked with the bytes."""
    descriptor = model.descriptor
    if descriptor is None:
        return
    name = f"{manifest.symbol}_model"
    if image.bare and descriptor.data != model.address:
        yield (
            f"{name} names data at 0x{descriptor.data:08x}; the model lies at 0x{model.address:08x}; link one model of "
            "this name"
        )
    if descriptor.data_crc32 != manifest.crc32 or descriptor.arena_size not in manifest.arena_sizes:
        yield (
            f"{name} states CRC-32 {descriptor.data_crc32:08x} and an arena of {descriptor.arena_size:,} B; "
            f"{manifest.path.name} {manifest.crc32:08x} and {manifest.arena_sizes[0]:,} B; "
            "link the files that belong to it"
        )
