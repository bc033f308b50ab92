# SPDX-License-Identifier: Apache-2.0
"""Record what each stage found: reports, tests and build systems read it and derive nothing again."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from tflm_build.emit import Shipment
from tflm_build.graph import Tensor
from tflm_build.options import Options
from tflm_build.read import Source
from tflm_build.samples import Samples

__all__ = ["SCHEMA_VERSION", "manifest"]

SCHEMA_VERSION: Final = 1
"""Raised when a field changes its meaning or goes away."""


def manifest(
    options: Options,
    source: Source,
    data: Mapping[str, Samples | None],
    shipment: Shipment,
    versions: Mapping[str, str],
    files: Mapping[str, bytes],
) -> bytes:
    """Write the manifest: JSON with sorted keys, no path and no time.

    Args:
        options: what the user decided.
        source: what the model was built from.
        data: calibration and test data, by option name.
        shipment: what the stages found.
        versions: of the tools that decided the bytes.
        files: the emitted files.
    """
    graph, proof, golden = shipment.graph, shipment.proof, shipment.golden
    content = {
        "schema_version": SCHEMA_VERSION,
        "name": options.name,
        "options": {"quantize": options.quantize, "io_type": options.io_type, "allowed_lsb": options.allowed_lsb},
        "source": {
            "file": source.path.name,
            "kind": source.kind,
            "bytes": len(source.data),
            "sha256": source.sha256,
        },
        "calibration": _data(data["CALIBRATION"]),
        "test_data": _data(data["TEST_DATA"]),
        "versions": dict(versions),
        "model": {
            "bytes": len(shipment.flatbuffer),
            "sha256": hashlib.sha256(shipment.flatbuffer).hexdigest(),
            "crc32": f"{shipment.crc32:08x}",
        },
        "inputs": [_tensor(tensor) for tensor in graph.inputs],
        "outputs": [_tensor(tensor) for tensor in graph.outputs],
        "ops": [{"op": used.op, "count": used.count, "method": used.method} for used in shipment.ops],
        "arena": {"smallest": shipment.measured.smallest_arena},
        "golden": {
            "vectors": len(golden.arrays[0]),
            "from_data": golden.from_data,
            "random": shipment.random_data,
            "reference": [
                {"difference": _rounded(difference), "tolerance": _rounded(tolerance)}
                for difference, tolerance in zip(proof.difference, proof.tolerance, strict=True)
            ],
            "float_error": [_rounded(error) for error in proof.float_error],
        },
        "files": {file: hashlib.sha256(content).hexdigest() for file, content in sorted(files.items())},
    }
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _data(samples: Samples | None) -> dict[str, Any] | None:
    """Describe calibration or test data."""
    if samples is None:
        return None
    return {"file": samples.file, "sha256": samples.sha256 or None, "random": bool(samples.random)}


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
