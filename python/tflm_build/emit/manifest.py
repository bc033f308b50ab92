# SPDX-License-Identifier: Apache-2.0
"""Record what each stage found: reports, tests and build systems read it and derive nothing again."""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from tflm_build.emit.shipment import Shipment
from tflm_build.manifest.schema import SCHEMA_VERSION, describe_model
from tflm_build.model.change import Change
from tflm_build.model.ops import UsedOp
from tflm_build.model.values import Narrowing
from tflm_build.model.weights import Weights
from tflm_build.options import Options
from tflm_build.source.read import Source
from tflm_build.source.samples import Samples
from tflm_build.stages.accuracy import Accuracy, WorstSample
from tflm_build.stages.activations import Activation
from tflm_build.stages.convert import Converted
from tflm_build.stages.measure import INTERPRETER_SIZE
from tflm_build.stages.prove_layers import LayerProof

__all__ = ["manifest"]


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
        "symbol": options.prefix,
        "options": _options(options),
        "source": {
            "file": source.name,
            "kind": source.kind,
            "bytes": source.size,
            "sha256": source.sha256,
        },
        "repairs": list(converted.model.repairs),
        "rewrites": {
            "changes": [_change(change) for change in converted.changes],
            "vectors": converted.vectors,
        },
        "calibration": _data(data["CALIBRATION"], converted.calibration),
        "test_data": _data(data["TEST_DATA"], None),
        "versions": dict(versions),
        "model": {
            "bytes": len(shipment.flatbuffer),
            "bytes_before": converted.bytes_before,
            "quantization": graph.quantization,
            "sha256": hashlib.sha256(shipment.flatbuffer).hexdigest(),
            "crc32": f"{shipment.crc32:08x}",
        },
        "ops": [_op(used) for used in shipment.ops],
        **describe_model(
            graph.inputs, graph.outputs, shipment.work, shipment.shrinkage, shipment.structure, shipment.state
        ),
        "narrow": None if shipment.narrowing is None else _narrowing(shipment.narrowing),
        "activations": {
            "samples": shipment.activations.samples,
            "layers": [_activation(layer) for layer in shipment.activations.layers],
        },
        "weights": [_weights(weights) for weights in shipment.weights],
        "budgets": {kind: options.budget(f"max_{kind}") for kind in ("flash", "arena", "macs")},
        "arena": {
            "basis": arranged.need.basis,
            "target": arranged.need.target,
            "kernels": arranged.need.kernels,
            "smallest": arranged.need.smallest,
            "measured": arranged.measured.smallest_arena,
            "computed": arranged.measured.computed.bytes,
            "interpreter": INTERPRETER_SIZE,
            "size": arranged.need.size,
            "host_size": arranged.here.size,
            "head": arranged.need.head,
            "tail": arranged.need.tail,
            "targets": [
                {"target": each.target, "kernels": each.kernels, "size": each.bytes + INTERPRETER_SIZE}
                for each in arranged.targets
            ],
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
            "tolerance": [_rounded(tolerance) for tolerance in proof.tolerance],
        },
        "proof": {
            "vectors": proof.vectors,
            "difference": [_rounded(difference) for difference in proof.difference],
            "layers": [_layer_proof(layer) for layer in proof.layers],
        },
        "accuracy": _accuracy(proof.accuracy),
        "files": {file: hashlib.sha256(content).hexdigest() for file, content in sorted(files.items())},
    }
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    # Numbers stand in one line. No text looks like a list of them: JSON writes the end of a line in it as \\n.
    text = re.sub(r"\[\n[-+.e0-9,\s]+\]", lambda numbers: f"[{' '.join(numbers[0][1:-1].split())}]", text)
    return (text + "\n").encode()


def _change(change: Change) -> dict[str, Any]:
    """Describe what was rewritten."""
    return {
        "kind": change.kind,
        "layer": change.layer,
        "before": list(change.before),
        "after": list(change.after),
    }


def _layer_proof(layer: LayerProof) -> dict[str, Any]:
    """Describe what a layer was compared with."""
    return {
        "reference": layer.reference,
        "difference": _finite(layer.difference),
        "tolerance": _rounded(layer.tolerance),
    }


def _narrowing(narrowing: Narrowing) -> dict[str, Any]:
    """Describe what weights of 4 bits bring and cost."""
    steps = [
        {**dataclasses.asdict(step), "sqnr_db": _finite(step.sqnr_db), "top1": _finite(step.top1)}
        for step in narrowing.steps
    ]
    return {
        **dataclasses.asdict(narrowing),
        "sqnr_db": _finite(narrowing.sqnr_db),
        "top1": _finite(narrowing.top1),
        "steps": steps,
    }


def _options(options: Options) -> dict[str, Any]:
    """Return the options that decided the bytes: not the paths, whose digests stand elsewhere."""
    return {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if field.name not in {"name", "symbol", "src", "report"} and field.metadata["group"] != "file"
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
        "sqnr_db": [_finite(sqnr) for sqnr in accuracy.sqnr],
        "labelled": accuracy.labelled,
        "top1": None if accuracy.top1 is None else _rounded(accuracy.top1),
        "float_top1": None if accuracy.float_top1 is None else _rounded(accuracy.float_top1),
        "worst": [_worst(sample) for sample in accuracy.worst],
    }


def _op(used: UsedOp) -> dict[str, Any]:
    """Describe an op that is registered."""
    kernel = used.kernel.register if used.kernel else None
    return {"op": used.op, "count": used.count, "method": used.method, "kernel": kernel}


def _worst(sample: WorstSample) -> dict[str, Any]:
    """Describe a sample that is far from the float model."""
    mine, theirs, label = sample.classes
    return {
        "sample": sample.sample,
        "output": sample.output,
        "element": sample.element,
        "got": _finite(sample.got),
        "float": _finite(sample.wanted),
        "difference": _finite(sample.difference),
        "class": mine,
        "float_class": theirs,
        "label": label,
    }


def _activation(layer: Activation) -> dict[str, Any]:
    """Describe what a layer writes."""
    return {
        "range": None if layer.range is None else [_rounded(end) for end in layer.range],
        "seen": None if layer.seen is None else [_rounded(end) for end in layer.seen],
        "at_limit": _finite(layer.at_limit),
        "sqnr_db": _finite(layer.sqnr),
    }


def _weights(weights: Weights) -> dict[str, Any]:
    """Describe how a constant is distributed."""
    return dataclasses.asdict(weights) | {"low": _rounded(weights.low), "high": _rounded(weights.high)}


def _finite(number: float | None) -> float | None:
    """Describe a number that may be infinite, as a ratio without noise is; JSON has no such number."""
    return None if number is None or not math.isfinite(number) else _rounded(number)


def _rounded(number: float) -> float:
    """Keep the digits of a difference that do not depend on the kind of processor."""
    return float(f"{number:.3g}")
