# SPDX-License-Identifier: Apache-2.0
"""Read calibration and test data: a file, a folder of samples, a function that yields them, or random numbers."""

import hashlib
import os
import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.child.run import run_in_child
from tflm_build.child.table import COLLECT_SAMPLES
from tflm_build.errors import TflmBuildError
from tflm_build.source.read import FUNCTION, check_name
from tflm_build.source.samples import Samples

__all__ = ["data_files", "read_samples"]

_RANDOM: Final = re.compile(r"random:([1-9][0-9]{0,5})")
_MAX_BYTES: Final = 1 << 31
_IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
_ALLOWED: Final = ".npz, .npy, a folder of .npy files or images, module.py:function, or random:N"


def read_samples(option: str, source: str) -> Samples:
    """Read data, never with pickle.

    Args:
        option: CALIBRATION or TEST_DATA, for messages.
        source: a path, `module.py:function`, or `random:N`.

    Raises:
        TflmBuildError: the file is missing, of another kind, damaged, or holds Python objects.
    """
    if source.startswith("random:"):
        match = _RANDOM.fullmatch(source)
        if match is None:
            msg = f"`{option}` got '{source}'; random data is random:N with N from 1 to 999999"
            raise TflmBuildError(msg)
        return Samples(option, source, "", int(match[1]), {})
    match = FUNCTION.fullmatch(source)
    path = Path(match[1] if match else source)
    check_name(option, path)
    if match is not None:
        return _from_function(option, path, match[2])
    if path.is_dir():
        return _from_folder(option, path)
    return _from_file(option, path)


def data_files(source: str) -> list[Path]:
    """Return the files that data depends on, for the depfile."""
    if source.startswith("random:"):
        return []
    match = FUNCTION.fullmatch(source)
    if match is not None:
        return [Path(match[1])]
    path = Path(source)
    return [path, *_sample_files(path)] if path.is_dir() else [path]


def _from_file(option: str, path: Path) -> Samples:
    """Read an .npz or .npy file."""
    if path.suffix.lower() not in {".npz", ".npy"}:
        msg = f"`{option}` got '{path.name}'; allowed: {_ALLOWED}; save the samples with numpy.savez"
        raise TflmBuildError(msg)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        _refuse_bomb(option, path)
        loaded = np.load(path, allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except OSError as error:
        msg = f"`{option}` '{path.name}' cannot be read: {error.strerror or error}; check the path"
        raise TflmBuildError(msg) from error
    except ValueError as error:
        if "pickle" in str(error).lower():
            msg = (
                f"`{option}` '{path.name}' holds pickled Python objects, which may run code; save plain numeric arrays"
            )
        else:
            msg = f"`{option}` '{path.name}' is not a valid {path.suffix} file: {error}; save it again"
        raise TflmBuildError(msg) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, MemoryError, RuntimeError) as error:
        msg = f"`{option}` '{path.name}' is not a valid {path.suffix} file: {error}; save it again"
        raise TflmBuildError(msg) from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        msg = f"`{option}` '{path.name}' has members that are no arrays; save it with numpy.savez"
        raise TflmBuildError(msg)
    if not arrays:
        msg = f"`{option}` '{path.name}' holds no array; pass an .npz with one array per input"
        raise TflmBuildError(msg)
    return Samples(option, path.name, digest, 0, arrays)


def _refuse_bomb(option: str, path: Path) -> None:
    """Refuse an archive that unpacks to more than a conversion could hold."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > _MAX_BYTES:
        msg = f"`{option}` '{path.name}' unpacks to {size:,} bytes; allowed: {_MAX_BYTES:,}; pass fewer samples"
        raise TflmBuildError(msg)


def _sample_files(folder: Path) -> list[Path]:
    """Return the samples of a folder, in the order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in {".npy", *_IMAGES} and path.is_file())


def _from_folder(option: str, folder: Path) -> Samples:
    """Read one sample per file; images become float32 from 0 to 1."""
    files = _sample_files(folder)
    if not files:
        msg = (
            f"`{option}` '{folder.name}' holds no sample; allowed: .npy files and images ({', '.join(sorted(_IMAGES))})"
        )
        raise TflmBuildError(msg)
    digest = hashlib.sha256()
    samples = []
    for file in files:
        image = file.suffix.lower() in _IMAGES
        sample = _image(option, file) if image else _from_file(option, file).arrays.get("")
        if sample is None:
            msg = f"`{option}` '{file.name}' holds several arrays; allowed: one array per file; save it with numpy.save"
            raise TflmBuildError(msg)
        samples.append(sample)
        digest.update(os.fsencode(file.name) + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    shapes = sorted({sample.shape for sample in samples})
    if len(shapes) > 1:
        msg = (
            f"`{option}` '{folder.name}' has samples of the shapes {', '.join(map(str, shapes))}; allowed: one shape; "
            "resize them"
        )
        raise TflmBuildError(msg)
    images = any(file.suffix.lower() in _IMAGES for file in files)
    notes = (f"`{option}` '{folder.name}': images were scaled from 0..255 to 0..1",) if images else ()
    return Samples(option, folder.name, digest.hexdigest(), 0, {"": np.stack(samples)}, notes)


def _image(option: str, file: Path) -> Array:
    """Read an image as (height, width, channels) of float32 from 0 to 1; one channel if it is grey, else three."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        msg = (
            f"`{option}` '{file.name}' is an image, which needs Pillow; got: {error}; pip install 'tflm-build[images]'"
        )
        raise TflmBuildError(msg) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow's warning of a decompression bomb
            with Image.open(file) as image:
                mode = image.mode
                pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"), np.float32)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Warning) as error:
        msg = f"`{option}` '{file.name}' is not an image that can be read: {error}; save it again"
        raise TflmBuildError(msg) from error
    if mode not in {"1", "L", "P", "RGB"}:
        msg = f"`{option}` '{file.name}' has pixels of mode {mode}; allowed: 8 bits of grey or RGB; save it as such"
        raise TflmBuildError(msg)
    return (pixels / np.float32(255)).reshape(*pixels.shape[:2], -1)


def _from_function(option: str, file: Path, name: str) -> Samples:
    """Run the function that the user named, in a child process."""
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        msg = f"`{option}` '{file}' cannot be read: {error.strerror or error}; check the path"
        raise TflmBuildError(msg) from error
    answer = run_in_child(COLLECT_SAMPLES, {"file": str(file.resolve()), "function": name, "option": option})
    arrays = dict(zip(answer["names"], answer["arrays"], strict=True))
    return Samples(option, f"{file.name}:{name}", digest, 0, arrays, files=tuple(answer["files"]))
