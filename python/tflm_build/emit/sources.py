# SPDX-License-Identifier: Apache-2.0
"""Write what firmware compiles: data, header, descriptor, op registration and golden vectors, from templates."""

import io
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from string import Template
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.emit.c_source import C_TYPES, array_initializer, byte_rows, comment_text, float_literal, string_literal
from tflm_build.emit.shipment import Shipment
from tflm_build.model.values import State, Tensor
from tflm_build.stages.measure import INTERPRETER_SIZE

__all__ = ["emit_sources"]

_HELPED: Final = frozenset({"int8", "uint8", "int16"})  # types that stand for real numbers


def emit_sources(shipment: Shipment) -> dict[str, bytes]:
    """Return the content of every emitted source file, by file name."""
    name = shipment.name
    sources = {
        f"{name}.h": _header(shipment),
        f"{name}.c": _descriptor(shipment),
        f"{name}_ops.cc": _ops(shipment),
        f"{name}_golden.h": _fill(shipment, "golden.h", **_golden_words(shipment)),
        f"{name}_golden.c": _golden(shipment),
        f"{name}.arena": f"{shipment.arranged.need.size}\n",
    }
    binary = {f"{name}.tflite": shipment.flatbuffer, f"{name}_golden.npz": _golden_arrays(shipment)}
    if shipment.embed != "array":
        sources[f"{name}_data.S"] = _assembly(shipment)
    if shipment.embed != "incbin":
        binary[f"{name}_data.c"] = _data(shipment)
    return {file: text.encode() for file, text in sources.items()} | binary


@cache
def _template(file: str) -> Template:
    """Load a template of the package."""
    return Template((resources.files("tflm_build.emit") / "templates" / f"{file}.in").read_text("utf-8"))


def _fill(shipment: Shipment, file: str, **words: object) -> str:
    """Fill a template; every template may use the model's name, symbol and provenance."""
    provenance = "\n * ".join(comment_text(line) for line in shipment.provenance)
    own = {"name": shipment.name, "symbol": shipment.symbol, "SYMBOL": shipment.symbol.upper()}
    return _template(file).substitute(words, **own, provenance=provenance)


def _data(shipment: Shipment) -> bytes:
    """Write the model's bytes as an array; they may be many, so they are put in last and never decoded."""
    mark = "@bytes@"
    section = "" if shipment.section is None else _fill(shipment, "section.c", section=shipment.section)
    words = {"data_size": len(shipment.flatbuffer), "align": shipment.align, "section": section, "bytes": mark}
    before, _, after = _fill(shipment, "data.c", **words).rpartition(mark)
    return b"".join([before.encode(), byte_rows(shipment.flatbuffer), after.encode()])


def _assembly(shipment: Shipment) -> str:
    """Write the assembly that takes the model's bytes from the .tflite file."""
    return _fill(
        shipment,
        "data.S",
        data_size=len(shipment.flatbuffer),
        align=shipment.align,
        elf_section=shipment.section or f".rodata.{shipment.symbol}_data",
        mach_section=shipment.section or "__TEXT,__const",
        coff_section=shipment.section or ".rdata",
    )


def _header(shipment: Shipment) -> str:
    """Write the header that firmware includes."""
    graph = shipment.graph
    tensors = [
        _tensor(shipment, kind, index, tensor)
        for kind, group in (("input", graph.inputs), ("output", graph.outputs))
        for index, tensor in enumerate(group)
    ]
    return _fill(
        shipment,
        "model.h",
        crc32=f"{shipment.crc32:08X}",
        data_size=len(shipment.flatbuffer),
        align=shipment.align,
        sizes=_fill(
            shipment,
            "arena_here.h" if shipment.arranged.need.here else "arena_there.h",
            arena=shipment.arranged.need.size,
            host=shipment.arranged.here.size,
        ).rstrip("\n"),
        smallest=shipment.arranged.need.smallest,
        basis=_basis(shipment),
        interpreter=INTERPRETER_SIZE,
        state=_state_words(shipment.state),
        state_size=shipment.state.bytes,
        ops="Ops: " + ", ".join(comment_text(used.op) for used in shipment.ops) + ".",
        tensors="".join(tensors),
    )


def _state_words(state: State) -> str:
    """Say in the header what the model keeps."""
    if not state.kept:
        return "The model keeps no state: no run depends on another."
    return f"State, kept in the arena from one run to the next: {state.words}. tflm_reset() makes it the first again."


def _basis(shipment: Shipment) -> str:
    """Say in the header where the arena's size comes from."""
    need = shipment.arranged.need
    file = "arena_computed.h" if need.note and need.basis != "measured" else "arena_host.h"
    return _fill(shipment, file, note=need.note[:1].upper() + need.note[1:]).rstrip("\n")


def _tensor(shipment: Shipment, kind: str, index: int, tensor: Tensor) -> str:
    """Write the header's part about one input or output."""
    sizes = "".join(f"[{size}]" for size in tensor.shape)
    formula = f", real = {tensor.scale:.6g} * (element - {tensor.zero_point})" if tensor.scale else ""
    words: dict[str, object] = {
        "kind": kind,
        "Kind": kind.capitalize(),
        "KIND": kind.upper(),
        "index": index,
        "label": comment_text(tensor.name),
        "description": f"{tensor.type}{sizes}{formula}".replace("- -", "+ "),
        "length": tensor.bytes // tensor.dtype.itemsize,
        "bytes": tensor.bytes,
    }
    files = ["tensor.h"]
    if tensor.scale:
        files.append("quantized.h")
        words |= {"scale": float_literal(tensor.scale), "zero_point": tensor.zero_point}
        if tensor.type in _HELPED:
            files.append("quantize.h" if kind == "input" else "dequantize.h")
            limits = np.iinfo(tensor.dtype)
            words |= {
                "ctype": C_TYPES[tensor.type],
                "minimum": limits.min,
                "maximum": limits.max,
                "lowest": int(limits.min) - tensor.zero_point,
                "highest": int(limits.max) - tensor.zero_point,
            }
    return "".join(_fill(shipment, file, **words) for file in files)


def _descriptor(shipment: Shipment) -> str:
    """Write the descriptor that the runtime reads."""
    shapes, tables = [], []
    for kind, group in (("input", shipment.graph.inputs), ("output", shipment.graph.outputs)):
        rows = []
        for index, tensor in enumerate(group):
            shape = f"{kind}_{index}_shape"
            sizes = ", ".join(str(size) for size in tensor.shape) or "1"
            shapes.append(f"static const int32_t {shape}[] = {{{sizes}}};")
            scale = float_literal(tensor.scale) + "f"
            rows.append(
                f"    {{{string_literal(tensor.name)}, {shape}, {len(tensor.shape)}u, TFLM_{tensor.type.upper()}, "
                f"{tensor.bytes}u, {scale}, {tensor.zero_point}}},"
            )
        tables.append(f"static const tflm_tensor {kind}s[] = {{\n" + "\n".join(rows) + "\n};")
    return _fill(
        shipment,
        "model.c",
        shapes="\n".join([*shapes, *tables, ""]),
        crc32=f"{shipment.crc32:08X}",
        input_count=len(shipment.graph.inputs),
        output_count=len(shipment.graph.outputs),
        variable_count=shipment.state.variables,
    )


def _ops(shipment: Shipment) -> str:
    """Write the registration of the model's ops."""
    kernels = [used.kernel for used in shipment.ops if used.kernel]
    calls = [f"{used.method}(resolver, 0)" if used.kernel else f"resolver.{used.method}()" for used in shipment.ops]
    words = {
        "fallbacks": "\n".join(f"template <int = 0>\nNoKernel {kernel.register}();" for kernel in kernels),
        "typed": "\n".join(f"ADD_TYPED({used.method}, {used.kernel.register})" for used in shipment.ops if used.kernel),
    }
    headers = sorted({kernel.header for kernel in kernels} - {""})
    scales = any(used.op == "FULLY_CONNECTED" and used.per_channel for used in shipment.ops)
    guard = _fill(shipment, "ops_per_channel.cc") if scales else ""
    return _fill(
        shipment,
        "ops.cc",
        includes="".join(_fill(shipment, "ops_include.cc", header=header) for header in headers),
        fallbacks=_fill(shipment, "ops_fallbacks.cc", **words) if kernels else "",
        typed=_fill(shipment, "ops_typed.cc", **words) if kernels else "",
        guard=guard,
        op_count=len(calls),
        registrations=" &&\n                        ".join(f"{call} == kTfLiteOk" for call in calls),
    )


def _golden_words(shipment: Shipment) -> Mapping[str, object]:
    """Say what the golden vectors are."""
    golden = shipment.golden
    origin = "random" if shipment.random_golden else f"{golden.from_data} samples of the data"
    if not shipment.state.kept or shipment.random_golden:
        origin += ", and the ends of the range"
    if shipment.state.kept:
        origin += "; one sequence, from the first state on"
    return {"count": len(shipment.arranged.measured.outputs[0]), "origin": origin}


def _vectors(shipment: Shipment) -> tuple[tuple[str, Sequence[Tensor], Sequence[Array]], ...]:
    """Return the golden vectors: what they are, their tensors, and an array (vectors, *shape) for each of these."""
    graph = shipment.graph
    return (
        ("input", graph.inputs, shipment.golden.arrays),
        ("output", graph.outputs, shipment.arranged.measured.outputs),
    )


def _golden_arrays(shipment: Shipment) -> bytes:
    """Write the golden vectors for NumPy."""
    arrays = {f"{kind}_{index}": array for kind, _, group in _vectors(shipment) for index, array in enumerate(group)}
    stream = io.BytesIO()
    np.savez(stream, tolerance=np.array(shipment.proof.tolerance, np.float64), **arrays)  # type: ignore[arg-type] # a keyword of its own is never passed
    return stream.getvalue()


def _golden(shipment: Shipment) -> str:
    """Write the golden vectors as C arrays."""
    blocks = []
    for kind, tensors, arrays in _vectors(shipment):
        names = [f"{kind}_{index}" for index in range(len(arrays))]
        for name, tensor, array in zip(names, tensors, arrays, strict=True):
            ctype = "uint8_t" if tensor.type == "bool" else C_TYPES[tensor.type]
            blocks.append(f"static const {ctype} {name}[] = {{\n{array_initializer(array)}\n}};")
        blocks.append(f"static const void *const {kind}s[] = {{{', '.join(names)}}};\n")
    return _fill(
        shipment,
        "golden.c",
        arrays="\n".join(blocks),
        tolerance=", ".join(float_literal(value) for value in shipment.proof.tolerance),
        answered_by=shipment.arranged.measured.answered_by,
    )
