# SPDX-License-Identifier: Apache-2.0
"""Refuse a model whose tensors do not have the shapes that its operators give them.

TFLM believes the shapes that a file declares, and reads and writes beyond a tensor whose shape is a lie. LiteRT works
them out from the inputs on.
"""

import copy
import dataclasses

from tflm_build.child.run import run_in_child
from tflm_build.child.table import CHECK_SHAPES
from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import store
from tflm_build.model.model import Model

__all__ = ["check_shapes"]


def check_shapes(model: Model) -> Model:
    """Compare the declared shapes with those that LiteRT works out, in a child process.

    A model that LiteRT does not accept passes here: later stages can say better what is wrong with it.

    Args:
        model: canonical, of a flatbuffer that `check_flatbuffer` has accepted.

    Returns:
        The model; where it declares no shape, with the one that LiteRT works out.

    Raises:
        TflmBuildError: a shape differs, or the model kills LiteRT.
    """
    answer = run_in_child(CHECK_SHAPES, {"flatbuffer": model.flatbuffer})
    missing = {}
    for index, declared, given in answer["differ"]:
        tensor = model.tree.subgraphs[0].tensors[index]
        if declared or tensor.hasRank:
            name = model.tensors[0][index]
            fault = f"the tensor '{name}' has the shape {declared}, where its operator gives {given}"
            msg = f"the source is not a valid TensorFlow Lite model: {fault}; convert it again"
            raise TflmBuildError(msg)
        missing[index] = given
    return _with_shapes(model, missing) if missing else model


def _with_shapes(model: Model, shapes: dict[int, list[int]]) -> Model:
    """Return a model whose tensors have these shapes; it stays canonical."""
    tree = copy.copy(model.tree)
    tree.subgraphs = [copy.copy(tree.subgraphs[0]), *tree.subgraphs[1:]]
    tree.subgraphs[0].tensors = [copy.copy(tensor) for tensor in tree.subgraphs[0].tensors]
    for index, shape in shapes.items():
        tree.subgraphs[0].tensors[index].shape = shape
    sentence = (
        f"{len(shapes)} tensors had no shape, and TFLM would write beyond them: they have the one that LiteRT works out"
    )
    return dataclasses.replace(model, flatbuffer=store(tree), tree=tree, repairs=(*model.repairs, sentence))
