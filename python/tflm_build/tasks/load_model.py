# SPDX-License-Identifier: Apache-2.0
"""Load what TensorFlow can read, as one function of fixed shapes: only imported in the converter's child process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tflm_build.errors import TflmBuildError, first_line
from tflm_build.tasks.check_saved_model import verify_saved_model
from tflm_build.tasks.recurrent import Cut, cut_recurrent

__all__ = ["Input", "Loaded", "load_model"]

# How Keras 3 says that a file is not safe. Keras 2 has fewer scruples and is not asked then.
_REFUSALS: Final = ("Not allowed", "arbitrary code execution", "disallowed", "not a KerasSaveable")


@dataclass(frozen=True)
class Input:
    """An input of a model, at batch 1."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Loaded:
    """A model as one function.

    Attributes:
        inputs: what the function takes, in order.
        outputs: names of what it returns, in order.
        function: a concrete function of TensorFlow that answers as the model does; its variables live as long as
            `owner`.
        converted: the function to convert, of the same inputs and outputs.
        cut: what is to convert instead, where recurrent layers were cut out; None where there are none.
        owner: the object that holds the variables.
        notes: what the user may want to know.
        versions: of the libraries that loaded it.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    function: Any
    converted: Any
    cut: Cut | None
    owner: Any
    notes: tuple[str, ...]
    versions: dict[str, str]


def load_model(kind: str, path: str, *, unsafe: bool, made: Any = None) -> Loaded:
    """Load a source.

    Args:
        kind: as in read.py: keras, h5, saved_model or function.
        path: where it lies.
        unsafe: let Keras deserialize code that lies in the file.
        made: what a function returned.

    Raises:
        TflmBuildError: it cannot be loaded, or has sizes that are not fixed.
    """
    if kind == "saved_model":
        if not unsafe:
            verify_saved_model(path)
        return _saved_model(path)
    if kind == "function":
        if not hasattr(made, "inputs") or hasattr(made, "structured_input_signature"):
            return _concrete(made, made, (), {})
        return _keras(made, notes=(), versions=_keras_versions())
    return _keras_file(path, unsafe=unsafe)


def _keras_versions() -> dict[str, str]:
    """Return the version of Keras."""
    import keras

    return {"keras": keras.__version__}


def _keras_file(path: str, *, unsafe: bool) -> Loaded:
    """Load a file that Keras 3 or Keras 2 has saved."""
    import keras

    try:
        model = keras.models.load_model(path, compile=False, safe_mode=not unsafe)
    except Exception as error:
        final = any(words in str(error) for words in _REFUSALS)
        if final or not path.lower().endswith((".h5", ".hdf5")):
            msg = f"`SRC` is not a model that Keras {keras.__version__} can load: {first_line(error)}; save it again"
            raise TflmBuildError(msg) from error
        return _keras_2_file(path, error, unsafe=unsafe)
    return _keras(model, notes=(), versions=_keras_versions())


def _keras_2_file(path: str, first: Exception, *, unsafe: bool) -> Loaded:
    """Load an .h5 file that Keras 3 refused."""
    try:
        import tf_keras
    except ImportError:
        msg = (
            f"`SRC` is not a model that Keras 3 can load: {first_line(first)}; if Keras 2 saved it, "
            "pip install 'tflm-build[legacy-keras]'"
        )
        raise TflmBuildError(msg) from first
    try:
        model = tf_keras.models.load_model(path, compile=False, safe_mode=not unsafe)
    except Exception as error:
        msg = (
            f"`SRC` is not a model that Keras 3 or Keras 2 can load: {first_line(first)} and {first_line(error)}; "
            "save it again"
        )
        raise TflmBuildError(msg) from error
    note = f"Keras 3 cannot load this .h5 file, so tf-keras {tf_keras.__version__} did"
    return _keras(model, notes=(note,), versions={"tf-keras": tf_keras.__version__})


def _keras(model: Any, *, notes: tuple[str, ...], versions: dict[str, str]) -> Loaded:
    """Trace a built Keras model at batch 1."""
    import tensorflow as tf

    _refuse_what_converts_badly(model)
    inputs = tuple(_fixed(tensor.name.split(":")[0], tensor.shape, tensor.dtype) for tensor in model.inputs)
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs]

    def call(*tensors: Any) -> Any:
        return model(tensors[0] if len(tensors) == 1 else list(tensors), training=False)

    def trace() -> Any:
        return tf.function(call, input_signature=specs, autograph=False).get_concrete_function()

    loaded = _concrete(trace(), model, notes, versions, inputs)
    cut, others = cut_recurrent(model, call, specs)
    if others and cut is None:
        loaded = replace(loaded, converted=trace())
    unrolled = (f"'{name}' was unrolled, so that its size grows with the steps: {others[name]}" for name in others)
    return replace(loaded, cut=cut, notes=(*notes, *unrolled))


def _refuse_what_converts_badly(model: Any) -> None:
    """Refuse, by name, what TensorFlow's converter only has strange words for."""
    for place, output in enumerate(model.outputs):
        name = next((tensor.name for tensor in model.inputs if tensor is output), None)
        if name is not None:
            msg = (
                f"output {place} of `SRC` is its input '{name}' itself, which the program has already; leave it out of "
                "the model's outputs"
            )
            raise TflmBuildError(msg)
    for layer in model._flatten_layers():  # noqa: SLF001
        if getattr(layer, "compute_dtype", None) in {"float16", "bfloat16"}:
            msg = (
                f"the layer '{layer.name}' computes in {layer.compute_dtype}; allowed: float32; build the model again "
                'under keras.config.set_dtype_policy("float32"), with set_weights(trained.get_weights())'
            )
            raise TflmBuildError(msg)


def _saved_model(path: str) -> Loaded:
    """Load a SavedModel folder of any TensorFlow 2, and fix the batch of its serving signature."""
    import tensorflow as tf

    try:
        model = tf.saved_model.load(path)
    except Exception as error:
        msg = (
            f"`SRC` is not a SavedModel that TensorFlow {tf.__version__} can load: {first_line(error)}; export it again"
        )
        raise TflmBuildError(msg) from error
    signatures = dict(model.signatures)
    only = next(iter(signatures.values())) if len(signatures) == 1 else None
    signature = signatures.get("serving_default", only)
    if signature is None:
        found = ", ".join(sorted(signatures)) or "none"
        msg = (
            f"`SRC` is a SavedModel with the signatures {found}; allowed: serving_default, or one alone; export it "
            "again"
        )
        raise TflmBuildError(msg)
    named = signature.structured_input_signature[1]
    inputs = tuple(_fixed(name, spec.shape, spec.dtype.name) for name, spec in named.items())
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs]

    @tf.function(input_signature=specs, autograph=False)  # type: ignore[untyped-decorator]
    def call(*tensors: Any) -> Any:
        return signature(**{spec.name: tensor for spec, tensor in zip(inputs, tensors, strict=True)})

    return _concrete(call.get_concrete_function(), model, (), {}, inputs)


def _concrete(
    function: Any,
    owner: Any,
    notes: tuple[str, ...],
    versions: dict[str, str],
    inputs: Sequence[Input] | None = None,
) -> Loaded:
    """Describe a concrete function."""
    if not hasattr(function, "structured_input_signature"):
        msg = (
            f"`SRC` returned an object of type {type(function).__name__}; allowed: a built Keras model, a concrete "
            "function of TensorFlow, or the bytes or the path of a .tflite; call the model once, or "
            "get_concrete_function()"
        )
        raise TflmBuildError(msg)
    if inputs is None:
        tensors = [tensor for tensor in function.inputs if tensor.dtype.name != "resource"]
        inputs = [_fixed(tensor.name.split(":")[0], tensor.shape, tensor.dtype.name) for tensor in tensors]
    structure = function.structured_outputs
    names = sorted(structure) if isinstance(structure, dict) else [f"output_{i}" for i in range(len(function.outputs))]
    return Loaded(tuple(inputs), tuple(names), function, function, None, owner, notes, versions)


def _fixed(name: str, shape: Any, dtype: Any) -> Input:
    """Return an input with batch 1, and every other size as it is."""
    sizes: list[Any] = list(shape) if getattr(shape, "rank", 0) is not None else [None, None]
    if not sizes or None in sizes[1:]:
        text = tuple("?" if size is None else int(size) for size in sizes)
        msg = (
            f"input '{name}' has shape {text}; TFLM needs fixed sizes; fix every size but the batch in the model's "
            "Input layer"
        )
        raise TflmBuildError(msg)
    batch = 1 if sizes[0] is None else int(sizes[0])
    return Input(name, (batch, *(int(size) for size in sizes[1:])), getattr(dtype, "name", str(dtype)))
