# SPDX-License-Identifier: Apache-2.0
"""The one table of options: the command line comes from it, CMake and the documentation are held to it by a test."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from tflm_build.errors import TflmBuildError

__all__ = ["C_KEYWORDS", "QUANTIZATIONS", "Options"]

QUANTIZATIONS = ("none", "int8", "int16x8")
IO_TYPES = ("auto", "float32")

# Of C23 and C++23: a model's name becomes a symbol in both.
C_KEYWORDS = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl
    concept const const_cast consteval constexpr constinit continue co_await co_return co_yield decltype default delete
    do double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable
    namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast
    requires restrict return short signed sizeof static static_assert static_cast struct switch template this
    thread_local throw true try typedef typeid typename typeof typeof_unqual union unsigned using virtual void volatile
    wchar_t while xor xor_eq
    """.split()
)


def _option(
    meaning: str, metavar: str, *, default: Any = dataclasses.MISSING, choices: tuple[str, ...] | None = None
) -> Any:
    """Make a field of the table."""
    metadata = {"meaning": meaning, "metavar": metavar, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Options:
    """All that a user decides about one model. Each field is an option; its metadata says what it means."""

    name: str = _option("C identifier that the emitted symbols and files begin with", "NAME")
    src: str = _option("the trained model: .keras, .h5, .hdf5 or .tflite", "PATH")
    quantize: str = _option(
        "integers that the model computes with: none keeps what the source has",
        "",
        default="none",
        choices=QUANTIZATIONS,
    )
    io_type: str = _option(
        "element type of inputs and outputs of a quantized model: auto is its integer type", "", default="auto",
        choices=IO_TYPES,
    )  # fmt: skip
    calibration: str | None = _option(
        "representative data, required to quantize: an .npz with one array per input, an .npy, or random:N for trials",
        "PATH",
        default=None,
    )
    test_data: str | None = _option(
        "where golden inputs are taken from, like --calibration; default: from the calibration data",
        "PATH",
        default=None,
    )
    max_lsb: int | None = _option(
        "largest difference from LiteRT's reference kernels, in steps of the output; default 1, 2 for int16x8",
        "N",
        default=None,
    )

    def __post_init__(self) -> None:
        """Refuse values that no model could be built with.

        Raises:
            TflmBuildError: a value is not allowed, or two options contradict each other.
        """
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", self.name) or self.name in C_KEYWORDS:
            msg = f"NAME becomes a C symbol; got '{self.name}'; use letters, digits and _, a letter first, no C keyword"
            raise TflmBuildError(msg)
        for field in dataclasses.fields(self):
            choices, value = field.metadata["choices"], getattr(self, field.name)
            if choices and value not in choices:
                msg = f"{field.name.upper()} got '{value}'; allowed: {', '.join(choices)}"
                if field.name == "quantize" and value in {"dynamic", "float16"}:
                    msg += "; TFLM cannot run dynamic-range or float16 models"
                raise TflmBuildError(msg)
        if self.max_lsb is not None and self.max_lsb < 0:
            msg = f"MAX_LSB got {self.max_lsb}; allowed: 0 and more"
            raise TflmBuildError(msg)

    @property
    def allowed_lsb(self) -> int:
        """Largest allowed difference from LiteRT's reference kernels, in steps of the output.

        Most kernels of both give the same integers; FULLY_CONNECTED with per-channel weights, for one, is rescaled with
        another rounding: one step for int8, and two for int16x8, whose steps are 256 times finer.
        """
        if self.max_lsb is not None:
            return self.max_lsb
        return 2 if self.quantize == "int16x8" else 1
