# SPDX-License-Identifier: Apache-2.0
"""Write the JSON that ESPHome's component micro_wake_word reads beside a model.

Its schema is MANIFEST_SCHEMA_V2 in esphome/components/micro_wake_word/__init__.py of https://github.com/esphome/esphome;
what it takes of a model is in streaming_model.cpp beside it. They were read at the commits 0867e965 and cbd7709e.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tflm_build.errors import TflmBuildError
from tflm_build.files import place_files
from tflm_build.manifest.read import hold_files, read_content

__all__ = ["WakeWord", "export_esphome"]

_FEATURES: Final = 40  # that its front end makes of each step
_MOST_VARIABLES: Final = 20

_OPS: Final = frozenset(
    (
        "ADD", "ASSIGN_VARIABLE", "AVERAGE_POOL_2D", "CALL_ONCE", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PACK", "PAD", "QUANTIZE", "READ_VARIABLE",
        "RESHAPE", "SPLIT_V", "STRIDED_SLICE", "VAR_HANDLE",
    )
)  # fmt: skip
"""The ops that it registers."""


@dataclass(frozen=True)
class WakeWord:
    """What no model says of itself.

    Attributes:
        wake_word: what is said; "vad" for a model that hears whether anybody speaks.
        author: who made the model.
        website: of the author; None: there is none.
        trained_languages: codes, as "en".
        feature_step_size: milliseconds from one step of features to the next, 0 to 30.
        probability_cutoff: what the mean of the window has to exceed, 0 to 1.
        sliding_window_size: answers that the mean is taken of.
        minimum_esphome_version: the first ESPHome that runs the model.
    """

    wake_word: str
    author: str
    website: str | None
    trained_languages: Sequence[str]
    feature_step_size: int
    probability_cutoff: float
    sliding_window_size: int
    minimum_esphome_version: str


def export_esphome(source: Path, target: Path | None, wake_word: WakeWord) -> Path:
    """Write ESPHome's JSON for a model that was built.

    Args:
        source: the manifest.
        target: the file; None: NAME_esphome.json beside the manifest.
        wake_word: what no model says of itself.

    Returns:
        The file's path.

    Raises:
        TflmBuildError: the manifest cannot be read or does not belong to the files beside it; ESPHome would not run the
            model; or the file cannot be written.
    """
    content = read_content(source)
    hold_files(source, content)
    try:
        name, arena = str(content["name"]), int(content["arena"]["size"]) - int(content["arena"]["interpreter"])
        fault = _fault(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"MODEL '{source}' is damaged: {type(error).__name__}: {error}; convert the model again"
        raise TflmBuildError(msg) from error
    if fault:
        msg = f"ESPHome's micro_wake_word does not run this model: {fault}"
        raise TflmBuildError(msg)
    target = target or source.with_name(f"{name}_esphome.json")
    if target.suffix != ".json" or target.resolve() == source.resolve():
        msg = f"OUTPUT got '{target}'; allowed: a .json file, but the manifest; ESPHome reads no other"
        raise TflmBuildError(msg)
    model = os.path.relpath(source.with_name(f"{name}.tflite").resolve(), target.parent.resolve())
    described: dict[str, Any] = {
        "type": "micro",
        "wake_word": wake_word.wake_word,
        "author": wake_word.author,
        **({"website": wake_word.website} if wake_word.website else {}),
        "model": Path(model).as_posix(),
        "trained_languages": list(wake_word.trained_languages),
        "version": 2,
        "micro": {
            "probability_cutoff": wake_word.probability_cutoff,
            "feature_step_size": wake_word.feature_step_size,
            "sliding_window_size": wake_word.sliding_window_size,
            "tensor_arena_size": arena,
            "minimum_esphome_version": wake_word.minimum_esphome_version,
        },
    }
    with place_files(target.parent) as place:
        place({target.name: (json.dumps(described, indent=2, ensure_ascii=False) + "\n").encode()}, target.name)
    return target


def _fault(content: dict[str, Any]) -> str:
    """Say why ESPHome would refuse a model; nothing where it would not."""
    ends = [(end["type"], end["shape"]) for end in (*content["inputs"], *content["outputs"])]
    shown = ", ".join(f"{kind}{shape}" for kind, shape in ends)
    right = len(content["inputs"]) == len(content["outputs"]) == 1 and _is_taken(*ends)
    if not right:
        return (
            f"its inputs and outputs are {shown}; allowed: int8[1, steps, 40] and uint8[1, 1]; convert it with "
            "TensorFlow's inference_output_type = tf.uint8, and pass the .tflite as `SRC`"
        )
    lacking = sorted({op["op"] for op in content["ops"]} - _OPS)
    if lacking:
        return f"it has no kernel for {', '.join(lacking)}; allowed: {', '.join(sorted(_OPS))}; replace these layers"
    variables = content["state"]["variables"]
    if variables > _MOST_VARIABLES:
        return f"it has {variables} variables; allowed: {_MOST_VARIABLES}; join some of them"
    return ""


def _is_taken(first: tuple[str, list[int]], last: tuple[str, list[int]]) -> bool:
    """Say whether it takes a model with this input and this output."""
    (kind, shape), answer = first, last
    return kind == "int8" and len(shape) == 3 and shape[::2] == [1, _FEATURES] and answer == ("uint8", [1, 1])  # noqa: PLR2004
