# SPDX-License-Identifier: Apache-2.0
"""The one table of options: the command line comes from it, and by scripts/option_texts.py all references."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tflm_build.errors import TflmBuildError

__all__ = ["C_KEYWORDS", "KERNELS", "QUANTIZATIONS", "TARGETS", "Options", "read_options"]

QUANTIZATIONS = ("none", "int8", "int16x8")
WEIGHT_TYPES = ("int8", "int4", "auto")
IO_TYPES = ("auto", "float32")
DENSE_SCALES = ("channel", "tensor")
EMBEDDINGS = ("auto", "array", "incbin")
TARGETS = (
    "auto", "host", "cortex-m0", "cortex-m0plus", "cortex-m1", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m23",
    "cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85", "esp32", "esp32s3", "esp32p4", "riscv32",
    "any32",
)  # fmt: skip
KERNELS = ("auto", "reference", "cmsis-nn", "esp-nn")
_ARENAS = range(1 << 10, (1 << 30) + 1)  # bytes: the smallest models need more

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


def _spell_target(name: str) -> str:
    """Spell a processor as TARGETS does, which its vendor or `inspect` spells otherwise, or which has its kernels."""
    name = name.lower().replace("_", "-").partition("@")[0].replace("+", "plus")
    name = re.sub(r"^(cortex-m\d+)f$", r"\1", name)  # with a floating-point unit
    return re.sub(r"^esp32-?(?:(s3|p4)|[chs]\d+)$", lambda found: f"esp32{found[1] or ''}", name)


def _option(
    meaning: str,
    metavar: str = "",
    *,
    kind: type = str,
    default: Any = None,
    choices: tuple[str, ...] | None = None,
    group: str = "value",
    **texts: str,
) -> Any:
    """Make a field of the table.

    Its group is required, file, value or flag. Texts are what CMake and Bazel say in place of the meaning where they
    differ. Other options are marked as `MAX_FLASH`, see spelling.py.
    """
    metadata = {
        "meaning": meaning, "metavar": metavar, "kind": kind, "choices": choices, "group": group, "texts": texts
    }  # fmt: skip
    return dataclasses.field(default=dataclasses.MISSING if group == "required" else default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Options:
    """All that a user decides about one model. Each field is an option; its metadata says what it means."""

    name: str = _option("C identifier that the emitted symbols and files begin with", "NAME", group="required")
    src: str = _option(
        "the trained model: .keras, .h5, .hdf5, .tflite, a SavedModel folder, or module.py:function that returns one",
        "PATH",
        group="required",
        bazel="the trained model: .keras, .h5, .hdf5, .tflite, a SavedModel as a folder or as a filegroup with its "
        "files, or a Python file with `SRC_FUNCTION`; it may be the output of another rule",
    )
    quantize: str = _option(
        "quantization scheme; none leaves the model unchanged", default="none", choices=QUANTIZATIONS
    )
    weight_type: str = _option(
        "element type of the weights of convolutions and dense layers in an int8 model: int4 halves their flash, and "
        "changes the answers; auto searches which layers take it, for a budget of flash or a floor of accuracy",
        default="int8",
        choices=WEIGHT_TYPES,
    )
    io_type: str = _option(
        "element type of inputs and outputs of a quantized model: auto is its integer type",
        default="auto",
        choices=IO_TYPES,
    )
    dense_scales: str = _option(
        "scales of the weights of dense layers where a model is quantized: one for each output channel, or, for a TFLM "
        "from before September 2024, one for the whole tensor",
        default="channel",
        choices=DENSE_SCALES,
    )
    calibration: str | None = _option(
        "calibration data, required to quantize: an .npz with one array per input, an .npy, a folder of .npy files "
        "or images, module.py:function that yields samples, or random:N for trials",
        "PATH",
        group="file",
        bazel="calibration data, required to quantize: an .npz with one array per input, an .npy, a filegroup with "
        "the .npy files or images of one folder, or a Python file with `CALIBRATION_FUNCTION`",
    )
    test_data: str | None = _option(
        "data that golden inputs are taken from and accuracy is measured on, like `CALIBRATION`; an array 'labels' "
        "has the class of each sample; default: the calibration data",
        "PATH",
        group="file",
    )
    max_lsb: int | None = _option(
        "largest difference of the outputs from LiteRT's, in steps, which each layer is allowed too on equal inputs; "
        "default: outputs are not limited, layers equal but for known differences of rounding",
        "N",
        kind=int,
        bazel="largest difference of the outputs from LiteRT's, in steps, which each layer is allowed too on equal "
        "inputs; -1, the default: outputs are not limited, layers equal but for known differences of rounding",
    )
    max_float_error: float | None = _option(
        "largest difference from the float model, in real numbers; default: not limited", "X", kind=float
    )
    min_top1: float | None = _option(
        "smallest share, 0 to 1, of samples whose largest output is that of the label, or of the float model where the "
        "test data has no labels; default: not limited",
        "X",
        kind=float,
    )
    min_sqnr: float | None = _option(
        "smallest signal-to-quantization-noise ratio of the outputs in dB, before a final SOFTMAX, against the float "
        "model; with a source of int8 and weights of 4 bits against that source; default: not limited",
        "DB",
        kind=float,
    )
    max_flash: str | None = _option("budget of flash for the model's data, in bytes, with K or M for 1024s", "SIZE")
    max_arena: str | None = _option("budget of the arena, in bytes, with K or M for 1024s", "SIZE")
    max_macs: str | None = _option("budget of multiply-accumulates of one run, with K or M for 1000s", "COUNT")
    plan: str = _option(
        "plan the arena offline where TFLM's own planner wastes some", default="auto", choices=("auto", "off")
    )
    shrink: str = _option(
        "drop from an integer model what no input can show, such as channels that never change; every answer stays the "
        "same, which is proven on TFLM",
        default="auto",
        choices=("auto", "off"),
    )
    target: str = _option(
        "processor that the arena's size is computed for; auto: host; host: it is measured here, with reference "
        "kernels; any32: the most that a chip of 32 bits needs",
        default="auto",
        choices=TARGETS,
        cmake="processor that the arena's size is computed for; auto: what the toolchain, ESP-IDF or Zephyr says; "
        "host: it is measured here, with reference kernels; any32: the most that a chip of 32 bits needs",
        bazel="processor that the arena's size is computed for; auto: what the platform or the C++ toolchain says; "
        "host: it is measured here, with reference kernels; any32: the most that a chip of 32 bits needs",
    )
    kernels: str = _option(
        "kernels of the TFLM on the `TARGET`; auto: those that ask for most memory", default="auto", choices=KERNELS
    )
    arena: str | None = _option(
        "bytes of arena that tflm_arena_used() reported on a device, with K or M for 1024s: emitted in place of what "
        "is worked out",
        "SIZE",
    )
    embed: str = _option(
        "how the data gets into the program: as a C array, or by the assembler's .incbin, which compiles in no time; "
        "auto writes both, for the build to choose from",
        default="auto",
        choices=EMBEDDINGS,
        cmake="how the data gets into the program: as a C array, or by the assembler's .incbin, which compiles in no "
        "time; auto is incbin where the toolchain has it",
        bazel="how the data gets into the program: as a C array, or by the assembler's .incbin, which compiles in no "
        "time; auto is incbin where the C++ toolchain assembles",
    )
    symbol: str | None = _option(
        "C identifier that the emitted symbols begin with, where models of a program have one name; default: the name",
        "NAME",
    )
    section: str | None = _option("linker section of the data; default: that of constants", "NAME")
    align: int = _option("alignment of the data in bytes, a power of two from 16 to 4096", "N", kind=int, default=16)
    keep_names: bool = _option("keep the names of tensors in the model, for debugging", default=False, group="flag")
    report: bool = _option(
        "write the report on the model as well, NAME.html",
        default=False,
        group="flag",
        bazel="write the report on the model as well, NAME.html, which is the output group report",
    )
    unsafe_deserialize: bool = _option(
        "let Keras run code that lies in the source, as Lambda layers do", default=False, group="flag"
    )

    def __post_init__(self) -> None:
        """Refuse values that no model could be built with.

        Raises:
            TflmBuildError: a value is not allowed, or two options contradict each other.
        """
        object.__setattr__(self, "target", _spell_target(self.target))
        self._check_symbol("name")
        self._check_symbol("symbol")
        for field in dataclasses.fields(self):
            choices, value = field.metadata["choices"], getattr(self, field.name)
            if choices and value not in choices:
                msg = f"`{field.name.upper()}` got '{value}'; allowed: {', '.join(choices)}"
                if field.name == "quantize" and value in {"dynamic", "float16"}:
                    msg += "; TFLM cannot run dynamic-range or float16 models"
                raise TflmBuildError(msg)
        if self.calibration is not None and self.quantize == "none":
            msg = (
                "`CALIBRATION` is what `QUANTIZE` takes ranges from; got `QUANTIZE` none; set `QUANTIZE` to int8 or "
                "int16x8, or pass the data as `TEST_DATA`"
            )
            raise TflmBuildError(msg)
        self._check_weight_type()
        libraries = ["auto", "reference"]
        libraries += ["cmsis-nn"] if self.target.startswith(("cortex", "any")) else []
        libraries += ["esp-nn"] if self.target.startswith(("esp", "any")) else []
        if self.kernels not in libraries:
            msg = (
                f"`KERNELS` got '{self.kernels}'; allowed for `TARGET` {self.target}: {', '.join(libraries)}; leave "
                "it out, or change `TARGET`"
            )
            raise TflmBuildError(msg)
        self._check_limit("max_lsb", float("inf"))
        self._check_limit("max_float_error", float("inf"))
        self._check_limit("min_top1", 1)
        self._check_limit("min_sqnr", float("inf"))
        for budget in ("max_flash", "max_arena", "max_macs"):
            self.budget(budget)
        arena = self.budget("arena")
        if arena is not None and arena not in _ARENAS:
            msg = f"`ARENA` got '{self.arena}'; allowed: 1K to 1024M, as a device reported it"
            raise TflmBuildError(msg)
        if self.section is not None and not re.fullmatch(r"[A-Za-z0-9_.$,]{1,255}", self.section):
            msg = f"`SECTION` got '{self.section}'; allowed: letters, digits and _ . $ ,; such as .flash_models"
            raise TflmBuildError(msg)
        if not 16 <= self.align <= 4096 or self.align & (self.align - 1):  # noqa: PLR2004 - a flatbuffer's, and a page
            msg = f"`ALIGN` got {self.align}; allowed: a power of two from 16 to 4096"
            raise TflmBuildError(msg)

    def _check_symbol(self, option: str) -> None:
        """Refuse what cannot begin a C symbol, or begins those of the runtime."""
        value = getattr(self, option)
        if value is None:
            return
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", value) or value in C_KEYWORDS:
            msg = (
                f"`{option.upper()}` becomes a C symbol; got '{value}'; use letters, digits and _, a letter first, "
                "no C keyword"
            )
            raise TflmBuildError(msg)
        if value.lower().startswith("tflm"):
            msg = f"`{option.upper()}` got '{value}'; names that begin with tflm are the runtime's; choose another"
            raise TflmBuildError(msg)

    def _check_weight_type(self) -> None:
        """Refuse weights of 4 bits for what has no kernel for them, or without what decides about them."""
        wanted = self.weight_type
        if wanted == "int8":
            return
        if self.quantize != "int8":
            msg = (
                f"`WEIGHT_TYPE` {wanted} needs `QUANTIZE` int8, also where `SRC` is quantized already; got `QUANTIZE` "
                f"{self.quantize}"
            )
            raise TflmBuildError(msg)
        if self.calibration is None:
            msg = (
                f"`WEIGHT_TYPE` {wanted} needs `CALIBRATION` data, to round weights by; got none; pass an .npz with "
                "one array per input"
            )
            raise TflmBuildError(msg)
        if wanted == "auto" and any(str(data).startswith("random:") for data in (self.calibration, self.test_data)):
            msg = (
                f"`WEIGHT_TYPE` {wanted} needs real data to judge by; got random data; pass samples of what it will see"
            )
            raise TflmBuildError(msg)
        if wanted == "auto" and (self.max_flash, self.min_sqnr, self.min_top1) == (None, None, None):
            msg = (
                f"`WEIGHT_TYPE` {wanted} needs a budget or a floor to search for; got none; pass `MAX_FLASH`, "
                "`MIN_SQNR` or `MIN_TOP1`"
            )
            raise TflmBuildError(msg)

    def _check_limit(self, option: str, highest: float) -> None:
        """Refuse a tolerance that is not from 0 to the highest; NaN is in no range."""
        value = getattr(self, option)
        if value is not None and not 0 <= value <= highest:
            allowed = "0 and more" if highest == float("inf") else f"0 to {highest:g}"
            msg = f"`{option.upper()}` got {value:g}; allowed: {allowed}"
            raise TflmBuildError(msg)

    def budget(self, option: str) -> int | None:
        """Return a budget as a number: flash and arena in bytes, K and M are 1024s; MACs, where they are 1000s.

        Raises:
            TflmBuildError: it is not a number with K, M or nothing behind.
        """
        text: str | None = getattr(self, option)
        if text is None:
            return None
        match = re.fullmatch(r"([0-9]{1,15})([KkMm]?)", str(text))
        if match is None:
            msg = f"`{option.upper()}` got '{text}'; allowed: a whole number, with K or M behind if wanted; such as 32K"
            raise TflmBuildError(msg)
        thousand = 1000 if option == "max_macs" else 1024
        factors = {"": 1, "k": thousand, "m": thousand * thousand}
        return int(match[1]) * factors[match[2].lower()]

    @property
    def prefix(self) -> str:
        """What the emitted symbols begin with."""
        return self.symbol or self.name


def read_options(values: Mapping[str, Any]) -> Options:
    """Make options of what a command line says.

    Args:
        values: a text, or a truth for a flag, by the name of the option; None: not given.

    Raises:
        TflmBuildError: a text is no number where one is needed, or a value is not allowed.
    """
    read = dict(values)
    for field in dataclasses.fields(Options):
        kind, text = field.metadata["kind"], read.get(field.name)
        if kind is not str and text is not None:
            try:
                read[field.name] = kind(text)
            except ValueError as error:
                allowed = "a whole number" if kind is int else "a number"
                msg = f"`{field.name.upper()}` got '{text}'; allowed: {allowed}"
                raise TflmBuildError(msg) from error
    return Options(**read)
