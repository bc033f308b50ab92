# SPDX-License-Identifier: Apache-2.0
"""Drop from a model what no kernel of TFLM or LiteRT reads, or what it says twice."""

from typing import Final

import numpy as np

from tflm_build.model.flatbuffer import schema
from tflm_build.model.graph import Operator
from tflm_build.model.model import Model
from tflm_build.passes.model_draft import ModelDraft

__all__ = ["drop_unread"]

_CONVOLUTIONS: Final = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_BIAS: Final = 2
"""The number of the input that is the bias."""

_MAX_RANK: Final = 8
"""Sizes that the options of RESHAPE have a place for in interpreters."""


def drop_unread(model: Model) -> Model:
    """Drop scales of biases, which are those of input and weights, and shapes that RESHAPE has in its options too.

    Options go as well where they have no fields, or say what is the default.
    """
    main = model.graph.subgraphs[0]
    draft = ModelDraft(model)
    biases, others = set[int](), {*main.inputs, *main.outputs}
    for operator, changed in zip(main.operators, draft.operators, strict=True):
        for number, operand in enumerate(operator.inputs):
            if operand is not None:
                (biases if number == _BIAS and _ignores_scale(operator) else others).add(operand.place)
        if operator.op == "RESHAPE" and _shape_is_fixed(operator):
            changed.inputs = changed.inputs[:1]
            changed.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
            changed.builtinOptions = schema.ReshapeOptionsT(newShape=np.array(operator.outputs[0].shape, np.int32))
        options = changed.builtinOptions
        if options is not None and vars(options) == (vars(type(options)()) if _takes_defaults(operator) else {}):
            changed.builtinOptions, changed.builtinOptionsType = None, schema.BuiltinOptions.NONE
    for place in biases - others:
        draft.tensors[place].quantization = None
    return draft.finish()


def _ignores_scale(operator: Operator) -> bool:
    """Say whether kernels never look at the scale of the bias.

    With one scale of the weights, FULLY_CONNECTED compares it with those of input and weights.
    """
    _, kernel, bias = operator.inputs[: _BIAS + 1]
    if kernel is None or bias is None or bias.type not in {"int32", "int64"}:
        return False
    return operator.op in _CONVOLUTIONS or (operator.op == "FULLY_CONNECTED" and len(kernel.scales) > 1)


def _takes_defaults(operator: Operator) -> bool:
    """Say whether interpreters take an operator without options for one with those by default.

    LiteRT asks for the type of the bias in those of an int16 FULLY_CONNECTED, and TFLM takes another value for one of
    ADD's and SUB's.
    """
    return operator.op == "MUL" or (operator.op == "FULLY_CONNECTED" and operator.reads[0].type == "int8")


def _shape_is_fixed(operator: Operator) -> bool:
    """Say whether a RESHAPE reads a constant shape: TFLM goes by the output's, LiteRT by the options without one."""
    if len(operator.reads) != 2 or not operator.outputs:  # noqa: PLR2004 - the tensor and its shape
        return False
    shape = operator.outputs[0].shape
    return operator.reads[1].constant and 0 < len(shape) <= _MAX_RANK and min(shape) > 0
