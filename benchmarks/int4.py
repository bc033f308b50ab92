# SPDX-License-Identifier: Apache-2.0
"""Draw flash against SQNR for weights of 4 bits: as searched here, and as ai-edge-quantizer makes them.

Both begin with one float model and one set of samples. Layers become narrow in the order of the search; the quantizer
has no int4 for DEPTHWISE_CONV_2D. SQNR is before a final SOFTMAX, against the float model, on LiteRT's kernels for
both.
"""

import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, floor
from pathlib import Path
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError
from tflm_build.passes.before_softmax import open_softmax
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.shrink import shrink_model
from tflm_build.stages.golden import quantize
from tflm_build.tasks import quantize_flatbuffer
from tflm_build.tasks.run_litert import follow_tensors

__all__ = ["main"]

_ROOT: Final = Path(__file__).resolve().parents[1]
_PICTURE: Final = _ROOT / "docs" / "guide" / "int4.svg"
_MODEL, _DATA = "streaming_wakeword/str_ww_ref_model.h5", "streaming_wakeword/calibration_samples.npz"
_OPS: Final = ("CONV_2D", "FULLY_CONNECTED")

Curve = list[tuple[int, float]]
"""Bytes of flash, and dB."""


def main(folder: Path) -> None:
    """Measure the wake-word model in a folder of MLPerf Tiny's models, print a table, and write the picture.

    Args:
        folder: that of the published models: `benchmark/training` of mlcommons/tiny, or what is kept of it.
    """
    samples = np.load(folder / _DATA)["specs"].astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        _convert(folder / _MODEL, work, "float", "--keep-names")
        source = work / "float" / "m.tflite"
        begin = time.monotonic()
        data = ("--quantize", "int8", "--calibration", folder / _DATA)
        _convert(source, work, "auto", *data, "--weight-type", "auto", "--min-sqnr", "0")
        seconds = time.monotonic() - begin
        steps = json.loads((work / "auto" / "m.json").read_text())["narrow"]["steps"]
        ours = [(step["bytes"], step["sqnr_db"]) for step in steps]
        layers = [(step["layer"], step["op"]) for step in steps[1:] if step["op"] in _OPS]
        flatbuffer = source.read_bytes()
    theirs = {key: _curve(flatbuffer, samples, layers, key) for key in ("min_max_uniform_quantize", "MSE", "OCTAV")}
    print(f"int4: searched in {seconds:.0f} s, {len(steps)} models judged in order")
    for title, curve in {"tflm-build": ours, **theirs}.items():
        print(f"  {title:<26}", "  ".join(f"{size:,} B {ratio:.1f} dB" for size, ratio in curve))
    _PICTURE.write_text(_draw({"tflm-build, WEIGHT_TYPE auto": ours, "ai-edge-quantizer": _best(theirs.values())}))


def _convert(source: Path, work: Path, out: str, *options: str | Path) -> None:
    """Run the command."""
    command = [sys.executable, "-m", "tflm_build", "convert", "--name", "m", "--src", source, *options]
    subprocess.run([*command, "--out-dir", work / out, "--quiet"], check=True, capture_output=True)


def _curve(flatbuffer: bytes, samples: Array, layers: Sequence[tuple[str, str]], key: str) -> Curve:
    """Let ai-edge-quantizer narrow more and more layers; what TFLM or LiteRT cannot run ends the curve."""
    wanted = _signals(flatbuffer, samples)
    curve = []
    for count in range(len(layers) + 1):
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # it draws bars
                found = canonicalize(_quantize(flatbuffer, samples, layers[:count], key))
        except TflmBuildError as error:
            print(f"  {key}, {layers[count - 1][0]}: {error}")
            continue
        noise = _signals(found.flatbuffer, samples) - wanted
        ratio = 10 * np.log10((wanted**2).sum() / (noise**2).sum())
        curve.append((len(shrink_model(found).model.flatbuffer), float(ratio)))
    return curve


def _quantize(flatbuffer: bytes, samples: Array, layers: Sequence[tuple[str, str]], key: str) -> bytes:
    """Quantize to int8 as a build does, but with the quantizer's own weights of 4 bits in some layers."""

    def narrow(manager: Any, types: Any) -> None:
        for layer, op in layers:
            grain = types.QuantGranularity.TENSORWISE if op == "FULLY_CONNECTED" else types.QuantGranularity.CHANNELWISE
            manager.add_static_config(re.escape(layer), types.TFLOperationName[op], 8, 4, grain, key)

    tensor = canonicalize(flatbuffer).graph.inputs[0]
    request = {"flatbuffer": flatbuffer, "quantize": "int8", "io_type": "auto", "dense_scales": "channel"}
    data = {"names": [tensor.name], "calibration": [samples.reshape(-1, *tensor.shape)]}
    return bytes(quantize_flatbuffer.run(request | data, narrow)["flatbuffer"])


def _signals(flatbuffer: bytes, samples: Array) -> Array:
    """Return what a model has before its final SOFTMAX, as real numbers."""
    model = canonicalize(flatbuffer)
    (signal,) = open_softmax(model).signals
    scale, zero = (float(signal.scales[0]), int(signal.zero_points[0])) if len(signal.scales) else (1.0, 0)
    inputs = [quantize(samples, model.graph.inputs[0])]
    followed = follow_tensors(model.flatbuffer, inputs, [signal.place])
    return np.stack([(held.astype(np.float64) - zero) * scale for (held,) in followed])


def _best(curves: Iterable[Curve]) -> Curve:
    """Return what is smaller than all that is as good, of several curves, the largest first."""
    points = sorted({point for curve in curves for point in curve}, key=lambda point: (point[0], -point[1]))
    best: Curve = []
    for size, ratio in points:
        if not best or ratio > best[-1][1]:
            best.append((size, ratio))
    return best[::-1]


def _draw(curves: Mapping[str, Curve]) -> str:
    """Draw curves as SVG."""
    width, height, left, bottom = 760, 380, 60, 50
    points = [point for curve in curves.values() for point in curve]
    low, high = (step(bound(size for size, _ in points) / 5000) * 5000 for step, bound in ((floor, min), (ceil, max)))
    least, most = (step(bound(ratio for _, ratio in points) / 5) * 5 for step, bound in ((floor, min), (ceil, max)))

    def x(size: float) -> float:
        return round(left + (size - low) / (high - low) * (width - left - 20), 1)

    def y(ratio: float) -> float:
        return round(height - bottom - (ratio - least) / (most - least) * (height - bottom - 20), 1)

    lines = [
        "<!-- SPDX-License-Identifier: Apache-2.0; drawn by ./dev bench int4 -->",
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"',
        ' font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for size in range(low, high + 1, 5000):
        lines.append(f'<path d="M{x(size)} 20V{height - bottom}" stroke="#ddd"/>')
        lines.append(f'<text x="{x(size)}" y="{height - bottom + 18}" text-anchor="middle">{size // 1000}</text>')
    for ratio in range(least, most + 1, 5):
        lines.append(f'<path d="M{left} {y(ratio)}H{width - 20}" stroke="#ddd"/>')
        lines.append(f'<text x="{left - 8}" y="{y(ratio) + 4}" text-anchor="end">{ratio}</text>')
    lines.append(f'<text x="{(left + width) / 2}" y="{height - 10}" text-anchor="middle">1,000 B of flash</text>')
    lines.append(f'<text transform="translate(16 {height / 2}) rotate(-90)" text-anchor="middle">SQNR, dB</text>')
    for place, (title, curve) in enumerate(curves.items()):
        colour, dash = (("#0b62a4", ""), ("#c2410c", ' stroke-dasharray="6 4"'))[place]
        path = "L".join(f"{x(size)} {y(ratio)}" for size, ratio in curve)
        lines.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        lines += (f'<circle cx="{x(size)}" cy="{y(ratio)}" r="4" fill="{colour}"/>' for size, ratio in curve)
        row = height - bottom - 40 + 20 * place
        lines.append(f'<path d="M{width - 290} {row}h36" stroke="{colour}" stroke-width="2"{dash}/>')
        lines.append(f'<text x="{width - 246}" y="{row + 5}">{title}</text>')
    return "\n".join([*lines, "</svg>", ""])
