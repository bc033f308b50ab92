# SPDX-License-Identifier: Apache-2.0
"""Record what each stage found: reports, tests and build systems read it and derive nothing again."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tflm_build.accuracy import Accuracy
from tflm_build.check import UsedOp
from tflm_build.describe_layers import Layer
from tflm_build.emit import Shipment
from tflm_build.graph import Graph, Tensor
from tflm_build.measure import INTERPRETER_SIZE
from tflm_build.options import Options
from tflm_build.quantize import Converted
from tflm_build.read import Source
from tflm_build.samples import Samples

__all__ = ["SCHEMA_VERSION", "describe_graph", "manifest"]

SCHEMA_VERSION: Final = 1
"""Raised when a field changes its meaning or goes away."""


def manifest(
    options: Options,
    source: Source,
    data: Mapping[str, Samples | None],
    converted: Converted,
    shipment: Shipment,
    versions: Mapping[str, str],
    files: Mapping[str, bytes],
) -> bytes:
    """Write the manifest: JSON with sorted keys, no path and no time.

    Args:
        options: what the user decided.
        source: what the model was built from.
        data: calibration and test data, by option name.
        converted: what the calibration data is like, and the size before canonicalizing.
        shipment: what the stages found.
        versions: of the tools that decided the bytes.
        files: the emitted files.
    """
    graph, proof, golden, arranged = shipment.graph, shipment.proof, shipment.golden, shipment.arranged
    content = {
        "schema_version": SCHEMA_VERSION,
        "name": options.name,
        "options": _options(options),
        "source": {
            "file": source.name,
            "kind": source.kind,
            "bytes": source.size,
            "sha256": source.sha256,
        },
        "calibration": _data(data["CALIBRATION"], converted.calibration),
        "test_data": _data(data["TEST_DATA"], None),
        "versions": dict(versions),
        "model": {
            "bytes": len(shipment.flatbuffer),
            "bytes_before": len(converted.flatbuffer),
            "quantization": graph.quantization,
            "sha256": hashlib.sha256(shipment.flatbuffer).hexdigest(),
            "crc32": f"{shipment.crc32:08x}",
        },
        "ops": [_op(used) for used in shipment.ops],
        **describe_graph(graph, shipment.work),
        "arena": {
            "smallest": arranged.measured.smallest_arena,
            "interpreter": INTERPRETER_SIZE,
            "size": arranged.measured.arena_size,
            "head": arranged.measured.head,
            "tail": arranged.measured.tail,
            "planned": arranged.planned,
            "smallest_unplanned": arranged.arena_unplanned,
            "lower_bound": arranged.lower_bound,
            "greedy_head": arranged.greedy_head,
            "peak": [{"layer": layer, "bytes": size} for layer, size in arranged.peak],
        },
        "golden": {
            "vectors": len(golden.arrays[0]),
            "from_data": golden.from_data,
            "random": shipment.random_golden,
            "reference": [
                {"difference": _rounded(difference), "tolerance": _rounded(tolerance)}
                for difference, tolerance in zip(proof.difference, proof.tolerance, strict=True)
            ],
        },
        "accuracy": _accuracy(proof.accuracy),
        "files": {file: hashlib.sha256(content).hexdigest() for file, content in sorted(files.items())},
    }
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def describe_graph(graph: Graph, layers: Sequence[Layer]) -> dict[str, Any]:
    """Return what the manifest says of any model, built or not: its ends and layers."""
    return {
        "inputs": [_tensor(tensor) for tensor in graph.inputs],
        "outputs": [_tensor(tensor) for tensor in graph.outputs],
        "layers": [_layer(layer) for layer in layers],
        "macs": sum(layer.macs for layer in layers),
    }


def _layer(layer: Layer) -> dict[str, Any]:
    """Describe a layer."""
    ends = {
        kind: [{**dataclasses.asdict(end), "shape": list(end.shape)} for end in group]
        for kind, group in (("inputs", layer.inputs), ("outputs", layer.outputs))
    }
    return {**dataclasses.asdict(layer), **ends}


def _options(options: Options) -> dict[str, Any]:
    """Return the options that decided the bytes: not the paths, whose digests stand elsewhere."""
    return {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if field.name not in {"name", "src"} and field.metadata["group"] != "file"
    }


def _data(samples: Samples | None, description: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Describe calibration or test data."""
    if samples is None:
        return None
    return {
        "file": samples.file,
        "sha256": samples.sha256 or None,
        "random": bool(samples.random),
        **(description or {}),
    }


def _accuracy(accuracy: Accuracy | None) -> dict[str, Any] | None:
    """Describe what is left of the float model."""
    if accuracy is None:
        return None
    return {
        "samples": accuracy.samples,
        "float_error": [_rounded(error) for error in accuracy.float_error],
        "worst_sample": list(accuracy.worst_sample),
        "sqnr_db": [_rounded(sqnr) if math.isfinite(sqnr) else None for sqnr in accuracy.sqnr],
        "labelled": accuracy.labelled,
        "top1": None if accuracy.top1 is None else _rounded(accuracy.top1),
        "float_top1": None if accuracy.float_top1 is None else _rounded(accuracy.float_top1),
    }


def _op(used: UsedOp) -> dict[str, Any]:
    """Describe an op that is registered."""
    kernel = used.kernel.register if used.kernel else None
    return {"op": used.op, "count": used.count, "method": used.method, "kernel": kernel}


def _tensor(tensor: Tensor) -> dict[str, Any]:
    """Describe an input or output."""
    return {
        "name": tensor.name,
        "type": tensor.type,
        "shape": list(tensor.shape),
        "bytes": tensor.bytes,
        "scale": float(f"{tensor.scale:.9g}"),
        "zero_point": tensor.zero_point,
    }


def _rounded(number: float) -> float:
    """Keep the digits of a difference that do not depend on the kind of processor."""
    return float(f"{number:.3g}")
