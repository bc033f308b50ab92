# SPDX-License-Identifier: Apache-2.0
"""Rewrite a model in what TFLM has, and prove that it answers as before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from tflm_build.arrays import Array
from tflm_build.child.run import run_in_child
from tflm_build.child.table import COMPARE_MODELS, RUN_LITERT
from tflm_build.errors import TflmBuildError
from tflm_build.model.change import Change, Models
from tflm_build.model.flatbuffer import copy_tree, store
from tflm_build.model.model import Model
from tflm_build.model.types import TYPES
from tflm_build.model.workload import model_macs
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.rewrite import hold_weights, rewrite
from tflm_build.stages.golden import golden_inputs

__all__ = ["Rewritten", "prove_equal", "rewrite_model", "with_real_weights"]

_VECTORS: Final = 4
"""Vectors that a model, or an operator of it, answers before and after."""


@dataclass(frozen=True)
class Rewritten:
    """A model in other words.

    Attributes:
        model: canonical; the one that came in where nothing was changed.
        changes: what was done.
        vectors: that the whole model answered the same before and after; 0 where no interpreter runs it before, and
            each change was proven for itself.
        notes: for the user.
    """

    model: Model
    changes: tuple[Change, ...] = ()
    vectors: int = 0
    notes: tuple[str, ...] = ()


def rewrite_model(model: Model, samples: Sequence[Array] | None, *, keep_names: bool) -> Rewritten:
    """Apply the passes to a copy of a model, and keep it if LiteRT and TFLM answer with it as they did before.

    Each change is proven for itself, on random elements; then the whole on samples, or what stands for them.

    Args:
        model: canonical.
        samples: per input an array (samples, *shape), as `golden_inputs` takes them.
        keep_names: leave the names of tensors in the model.
    """
    refuted: set[Models] = set()
    while True:
        tree = _with_names(model)
        changes = rewrite(tree, _evaluate, refuted)
        if not changes:
            return Rewritten(model)
        after = canonicalize(store(tree), keep_names=keep_names, inputs=model.inputs, outputs=model.outputs)
        whole = _whole(model, samples)
        pairs = {change.models: _draw(change) for change in changes if change.models is not None}
        *proofs, proof = _compare([*pairs.items(), ((model.flatbuffer, after.flatbuffer), whole)])
        wrong = {models for models, found in zip(pairs, proofs, strict=True) if not found.pieces_equal}
        if not wrong:
            break
        refuted |= wrong
    if proof.different:
        note = "the model was not rewritten in ops that TFLM has, because the whole would answer otherwise"
        return Rewritten(model, notes=(note,))
    vectors = len(whole[0]) if proof.compared else 0
    return Rewritten(replace(after, repairs=model.repairs), changes, vectors)


def with_real_weights(model: Model, *, everything: bool, keep_names: bool) -> Rewritten:
    """Hold weights in real numbers that a float model has as integers, and keep that if LiteRT then answers the same.

    TFLM is not asked: it cannot compute these weights, or computes them wrongly.

    Args:
        model: canonical.
        everything: all such weights, as a quantizer needs it, not only those that TFLM cannot compute.
        keep_names: leave the names of tensors in the model.
    """
    tree = _with_names(model)
    changes = hold_weights(tree, _evaluate, everything=everything)
    if not changes:
        return Rewritten(model)
    after = canonicalize(store(tree), keep_names=keep_names, inputs=model.inputs, outputs=model.outputs)
    inputs = _whole(model, None)
    (proof,) = _compare([((model.flatbuffer, after.flatbuffer), inputs)])
    if proof.litert != 0:
        return Rewritten(model)
    return Rewritten(replace(after, repairs=model.repairs), changes, len(inputs[0]))


def prove_equal(before: Model, after: Model, samples: Sequence[Array] | None) -> int | None:
    """Run a model before and after it was rewritten, on LiteRT and TFLM.

    Returns:
        The number of vectors that are answered the same; None where an answer differs, or neither is run.
    """
    inputs = _whole(before, samples)
    (proof,) = _compare([((before.flatbuffer, after.flatbuffer), inputs)])
    return None if proof.different or not proof.compared else len(inputs[0])


def _whole(model: Model, samples: Sequence[Array] | None) -> list[Array]:
    """Return a few vectors for a whole model: the first sample, and the ends of the inputs' ranges."""
    golden = golden_inputs(model.graph.inputs, samples, macs=model_macs(model.graph))
    return [np.concatenate([array[:1], array[1 - _VECTORS :]]) for array in golden.arrays]


class _Proof(NamedTuple):
    """Differences of two models, -1 where there are none to tell: see `compare_models`."""

    litert: float
    tflm: float
    mixed: float

    @property
    def different(self) -> bool:
        """Whether an interpreter answers otherwise than before."""
        return max(self.litert, self.tflm) > 0

    @property
    def compared(self) -> bool:
        """Whether an interpreter ran both."""
        return max(self.litert, self.tflm) >= 0

    @property
    def pieces_equal(self) -> bool:
        """Whether TFLM, too, answers as LiteRT did before, as it should where elements are but moved or chosen."""
        return set(self) <= {0, -1} and max(self) == 0


def _compare(models: Sequence[tuple[Models, Sequence[Array]]]) -> list[_Proof]:
    """Run pairs of models on their inputs, in a child process."""
    request: dict[str, Any] = {"count": len(models)}
    for place, ((before, after), inputs) in enumerate(models):
        request |= {f"before.{place}": before, f"after.{place}": after, f"inputs.{place}": list(inputs)}
    answer = run_in_child(COMPARE_MODELS, request)
    return [_Proof(*row) for row in zip(answer["litert"], answer["tflm"], answer["mixed"], strict=True)]


def _with_names(model: Model) -> Any:
    """Return a copy of a model's tree to be changed, with the names that stand beside it."""
    tree = copy_tree(model.tree)
    for subgraph, names in zip(tree.subgraphs, model.tensors, strict=True):
        for tensor, name in zip(subgraph.tensors, names, strict=True):
            tensor.name = name.encode()
    return tree


def _evaluate(flatbuffer: bytes) -> Sequence[Array] | None:
    """Let LiteRT run a model that has no inputs."""
    try:
        outputs = run_in_child(RUN_LITERT, {"flatbuffer": flatbuffer, "inputs": []})["outputs"]
    except TflmBuildError:
        return None
    return [output[0] for output in outputs]


def _draw(change: Change) -> list[Array]:
    """Draw elements of the whole range of their types, by a generator that is seeded."""
    random = np.random.RandomState(0)
    drawn = []
    for kind, shape in change.inputs:
        dtype, size = np.dtype(TYPES[kind].dtype), (_VECTORS, *shape)
        if dtype.kind == "f":
            drawn.append((random.standard_normal(size) * 10.0 ** random.randint(-6, 7, size)).astype(dtype))
        elif dtype.kind == "b":
            drawn.append(random.randint(0, 2, size).astype(dtype))
        else:
            limits = np.iinfo(dtype)
            drawn.append(random.randint(limits.min, limits.max, size, np.int64).astype(dtype))
    return drawn
