# SPDX-License-Identifier: Apache-2.0
"""Cut the recurrent layers out of a Keras model, so that TFLM's own operator can stand in for what Keras loops over."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.cells import Step, gru, lstm, simple_rnn
from tflm_build.model.recurrent import UNROLLED, LstmWeights, Recurrent

__all__ = ["Cut", "cut_recurrent", "name_of_write"]

_CELLS: Final = frozenset({"GRUCell", "LSTMCell", "SimpleRNNCell"})
_FUNCTIONS: Final = frozenset({"linear", "relu", "sigmoid", "tanh"})
_FUSED: Final = ("tanh", "sigmoid")
"""The activations of TFLM's LSTM."""


def name_of_write(place: int) -> str:
    """Return the name of the cut function's input that stands for what a call writes."""
    return f"tflm_build_recurrent_{place}"


@dataclass(frozen=True)
class Cut:
    """A model without its recurrent layers.

    Attributes:
        function: a concrete function of TensorFlow that takes the model's inputs, and behind them what each call of
            a layer writes, (batch * steps, units); it returns the model's outputs, and behind them what each call
            reads, flat. Both are put into shapes that nothing else in a model has, so that no converter can take one
            for the other.
        layers: one for each call, in the order in which they run.
        reads: a function of the model's inputs that returns what each call reads, (batch, steps, features).
        reset: takes layers that keep their state back to their first one.
    """

    function: Any
    layers: tuple[Recurrent, ...]
    reads: Any
    reset: Callable[[], None]

    def follow(
        self, samples: Sequence[Array], shapes: Sequence[tuple[int, ...]]
    ) -> tuple[list[Array], list[Recurrent]]:
        """Let the model run samples, and the layers on what they read there.

        Args:
            samples: per input an array (samples, ...).
            shapes: of the inputs.

        Returns:
            What each call writes, (samples, batch * steps, units); and the layers, with the ranges that were seen.
        """
        import tensorflow as tf

        rows = []
        self.reset()
        for vector in zip(*samples, strict=True):
            inputs = (tf.constant(value.reshape(shape)) for value, shape in zip(vector, shapes, strict=True))
            rows.append([np.asarray(read) for read in self.reads(*inputs)])
        self.reset()
        written, layers = [], []
        for layer, reads in zip(self.layers, zip(*rows, strict=True), strict=True):
            answer, seen = layer.follow(np.stack(reads))
            written.append(answer)
            layers.append(seen)
        return written, layers


@dataclass
class _Calls:
    """What calls of recurrent layers were met while a model was traced.

    Attributes:
        graph: the graph that is traced.
        writes: what the calls return; None while they are counted.
        layers, reads: of each call that TFLM's operator can compute.
        others: why a layer stays as it is, by its name.
    """

    graph: Any
    writes: Sequence[Any] | None = None
    layers: list[Recurrent] = field(default_factory=list)
    reads: list[Any] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)


def cut_recurrent(model: Any, call: Callable[..., Any], specs: Sequence[Any]) -> tuple[Cut | None, dict[str, str]]:
    """Cut a Keras model at its recurrent layers.

    Args:
        model: of Keras 3 or Keras 2.
        call: calls it with its inputs.
        specs: of its inputs.

    Returns:
        The rest and the layers, None where there is no layer to cut out; and why others stay as they are, by name.
    """
    import tensorflow as tf

    found = [layer for layer in model._flatten_layers() if hasattr(layer, "cell") and hasattr(layer, "unroll")]  # noqa: SLF001
    if not found:
        return None, {}
    counted: list[_Calls] = []

    def read(*tensors: Any) -> Any:
        counted.append(_Calls(tf.compat.v1.get_default_graph()))
        with _replaced(found, counted[-1]):
            call(*tensors)
        return [tf.identity(read) for read in counted[-1].reads]

    reads = tf.function(read, input_signature=specs, autograph=False).get_concrete_function()
    layers, others = counted[-1].layers, counted[-1].others
    for layer in found:
        if layer.name in others:
            layer.unroll, layer.call = True, _named(layer.call)
    if not layers:
        return None, others
    writes = [
        tf.TensorSpec((layer.batch * layer.rows, layer.units), tf.float32, name=name_of_write(place))
        for place, layer in enumerate(layers)
    ]

    def rest(*tensors: Any) -> Any:
        shaped = [
            tf.reshape(written, (layer.batch, layer.rows, layer.units))
            for written, layer in zip(tensors[len(specs) :], layers, strict=True)
        ]
        calls = _Calls(tf.compat.v1.get_default_graph(), shaped)
        with _replaced(found, calls):
            answer = call(*tensors[: len(specs)])
        return [*tf.nest.flatten(answer), *(tf.reshape(read, (-1,)) for read in calls.reads)]

    function = tf.function(rest, input_signature=[*specs, *writes], autograph=False).get_concrete_function()

    def reset() -> None:
        for layer in found:
            if layer.stateful:
                layer.reset_states()

    return Cut(function, tuple(layers), reads, reset), others


@contextmanager
def _replaced(layers: Sequence[Any], calls: _Calls) -> Iterator[None]:
    """Note the calls of layers, and let them return what is given."""
    originals = [layer.call for layer in layers]
    for layer, original in zip(layers, originals, strict=True):
        layer.call = _noting(layer, original, calls)
    try:
        yield
    finally:
        for layer, original in zip(layers, originals, strict=True):
            layer.call = original


def _named(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a layer's call, whose operators have `UNROLLED` in their names."""
    import tensorflow as tf

    def call(*arguments: Any, **keywords: Any) -> Any:
        with tf.name_scope(UNROLLED):
            return original(*arguments, **keywords)

    return call


def _noting(layer: Any, original: Callable[..., Any], calls: _Calls) -> Callable[..., Any]:
    """Return what a layer does while its model is cut."""
    import tensorflow as tf

    def call(sequences: Any, *arguments: Any, **keywords: Any) -> Any:
        reason = _what_hinders(layer, sequences, arguments, keywords, calls.graph)
        if reason:
            calls.others[layer.name] = reason
            return original(sequences, *arguments, **keywords)
        calls.reads.append(tf.reverse(sequences, [1]) if layer.go_backwards else sequences)
        calls.layers.append(_read(layer, tuple(sequences.shape), len(calls.layers)))
        if calls.writes is None:
            return original(sequences, *arguments, **keywords)
        written = calls.writes[len(calls.layers) - 1]
        return written if layer.return_sequences else tf.squeeze(written[:, -1:], 1)

    return call


def _what_hinders(layer: Any, sequences: Any, arguments: Sequence[Any], keywords: dict[str, Any], graph: Any) -> str:
    """Say why TFLM's operator cannot stand for a call; nothing where it can."""
    cell = layer.cell
    kind = type(cell).__name__
    if kind not in _CELLS:
        return f"a {kind} is not known"
    functions = _functions(cell)
    if not _FUNCTIONS.issuperset(functions):
        return f"of activations, {', '.join(sorted(_FUNCTIONS))} are known; it has {' and '.join(functions)}"
    if any(value is not None for value in (*arguments, keywords.get("initial_state"), keywords.get("mask"))):
        return "it is called with a mask or an initial state"
    if layer.return_state:
        return "it returns its state"
    if sequences.graph is not graph or None in tuple(sequences.shape):
        return "it is called in a loop, or with sizes that are not fixed"
    fused = kind == "LSTMCell" and functions == _FUSED
    if not fused and sequences.shape[0] != 1:
        return f"it has a batch of {sequences.shape[0]}, and is no LSTM with the activations tanh and sigmoid"
    return ""


def _functions(cell: Any) -> tuple[str, ...]:
    """Return the names of a cell's activations."""
    return tuple(getattr(cell, name).__name__ for name in ("activation", "recurrent_activation") if hasattr(cell, name))


def _read(layer: Any, shape: tuple[int, ...], place: int) -> Recurrent:
    """Take the weights of a layer."""
    import tensorflow as tf

    cell = layer.cell
    kind, functions = type(cell).__name__, _functions(cell)
    with tf.init_scope():  # the numbers, and not what stands for them in the graph
        kernel, recurrent = np.asarray(cell.kernel), np.asarray(cell.recurrent_kernel)
        bias = np.asarray(cell.bias) if cell.use_bias else np.zeros(kernel.shape[1], np.float32)
    steps: dict[str, Callable[[], Step]] = {
        "SimpleRNNCell": lambda: simple_rnn(kernel, recurrent, bias, *functions),
        "LSTMCell": lambda: lstm(kernel, recurrent, bias, *functions),
        "GRUCell": lambda: gru(kernel, recurrent, bias, *functions, reset_after=cell.reset_after),
    }
    fused = kind == "LSTMCell" and functions == _FUSED
    return Recurrent(
        layer=f"{layer.name}_call_{place}" if place else layer.name,
        batch=shape[0],
        steps=shape[1],
        features=shape[2],
        units=len(recurrent),
        states=2 if kind == "LSTMCell" else 1,
        stateful=layer.stateful,
        rows=shape[1] if fused or layer.return_sequences else 1,
        step=steps[kind](),
        fused=LstmWeights(kernel, recurrent, bias) if fused else None,
    )
