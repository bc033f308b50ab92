# SPDX-License-Identifier: Apache-2.0
"""Models from strangers: each attempt to do more than compute is refused in one line, and has had no effect."""

import json
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import h5py
import numpy as np
import pytest

from support.interpreters import Run
from tflm_build.errors import TflmBuildError
from tflm_build.source.read import read_source

Hostile = Callable[[Path, Path], Path]


def layer(name: str, **config: object) -> dict[str, object]:
    return {"class_name": name, "name": "x", "config": config, "inbound_nodes": []}


def h5(folder: Path, *layers: dict[str, object]) -> Path:
    """Write the configuration of a functional model as Keras 2 does."""
    path = folder / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": layers}})
        file.create_group("model_weights").create_dataset("kernel", data=np.ones((4, 2), np.float32))
    return path


def calls(function: str) -> Hostile:
    """Name a function of TensorFlow, which Keras 2 would call while it loads the file."""
    return lambda folder, _: h5(folder, layer("TFOpLambda", function=function))


def names(class_name: str, **config: object) -> Hostile:
    return lambda folder, _: h5(folder, layer(class_name, **config))


def external(folder: Path, secret: Path) -> Path:
    path = h5(folder)
    with h5py.File(path, "r+") as file:
        file.create_dataset("stolen", (8,), np.uint8, external=[(str(secret), 0, 8)])
    return path


def virtual(folder: Path, secret: Path) -> Path:
    path, layout = h5(folder), h5py.VirtualLayout((8,), np.uint8)
    layout[:] = h5py.VirtualSource(str(secret), "x", (8,))
    with h5py.File(path, "r+") as file:
        file.create_virtual_dataset("stolen", layout)
    return path


def link(kind: str) -> Hostile:
    def make(folder: Path, secret: Path) -> Path:
        path = h5(folder)
        with h5py.File(path, "r+") as file:
            file["stolen"] = h5py.ExternalLink(str(secret), "/") if kind == "external" else h5py.SoftLink("/nowhere")
        return path

    return make


def holding(kind: str) -> Hostile:
    """Hold what Keras never writes: a reference, a named type, or a data set that needs a plugin."""

    def make(folder: Path, _: Path) -> Path:
        path = h5(folder)
        with h5py.File(path, "r+") as file:
            if kind == "reference":
                file.create_dataset("stolen", data=file.ref, dtype=h5py.ref_dtype)
            elif kind == "type":
                file["stolen"] = np.dtype("f4")
            elif kind == "bomb":
                file.create_dataset("stolen", (1 << 40,), np.uint8, chunks=(1 << 20,))
            else:
                properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                properties.set_chunk((8,))
                properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
                h5py.h5d.create(file.id, b"stolen", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple((8,)), properties)
        return path

    return make


def archive(config: object, weights: bytes = b"") -> Hostile:
    def make(folder: Path, secret: Path) -> Path:
        path = folder / "model.keras"
        inner = external(folder, secret).read_bytes() if weights == b"external" else h5(folder).read_bytes()
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("config.json", json.dumps(config) if not isinstance(config, str) else config)
            file.writestr("model.weights.h5", inner)
        return path

    return make


ATTEMPTS: dict[str, tuple[Hostile, str]] = {
    "write a file": (calls("io.write_file"), "calls the function 'io.write_file'"),
    "read a file": (calls("io.read_file"), "calls the function 'io.read_file'"),
    "copy a file": (calls("io.gfile.copy"), "calls the function 'io.gfile.copy'"),
    "delete a folder": (calls("io.gfile.rmtree"), "calls the function 'io.gfile.rmtree'"),
    "load a library": (calls("load_op_library"), "calls the function 'load_op_library'"),
    "call Python": (calls("py_function"), "calls the function 'py_function'"),
    "call by slicing": (names("SlicingOpLambda", function="io.write_file"), "calls the function 'io.write_file'"),
    "call a method": (names("InstanceMethod", method_name="x"), "the class 'InstanceMethod'"),
    "an op by its node": (names("TensorFlowOpLayer", node_def="x"), "the class 'TensorFlowOpLayer'"),
    "code in a wrapper": (names("ResidualWrapper", residual_fn="x"), "the class 'ResidualWrapper'"),
    "a custom object": (names("Mine>Layer"), "the class 'Mine>Layer'"),
    "a Lambda": (names("Lambda", function=["x"]), "has a Lambda layer"),
    "a SavedModel by path": (names("TFSMLayer", filepath="/x"), "the class 'TFSMLayer'"),
    "a vocabulary by path": (names("StringLookup", vocabulary="/x"), "the class 'StringLookup'"),
    "a pickle": (names("TorchModuleWrapper", module="x"), "the class 'TorchModuleWrapper'"),
    "a Lambda deep inside": (
        names("TimeDistributed", layer={"class_name": "Lambda", "config": {}}),
        "has a Lambda layer",
    ),
    "another module": (
        archive({"class_name": "Dense", "module": "os", "config": {}}),
        "an object of the module 'os'",
    ),
    "another name": (
        archive({"class_name": "Dense", "registered_name": "Mine>x", "config": {}}),
        "registered as 'Mine>x'",
    ),
    "a function": (
        archive({"class_name": "function", "module": "builtins", "config": "get_file"}),
        "the function 'get_file' of 'builtins'",
    ),
    "two values of a name": (archive('{"class_name": "Lambda", "class_name": "Dense"}'), "two values of the same name"),
    "bytes of another file": (external, "'/stolen', whose values lie in another file"),
    "bytes of another file in an archive": (archive({}, b"external"), "'/stolen', whose values lie in another file"),
    "a virtual data set": (virtual, "'/stolen', which is a virtual data set"),
    "an external link": (link("external"), "'/stolen', which is a link to elsewhere (ExternalLink)"),
    "a soft link": (link("soft"), "'/stolen', which is a link to elsewhere (SoftLink)"),
    "a reference": (holding("reference"), "'/stolen', whose values are neither numbers nor text"),
    "a named type": (holding("type"), "'/stolen', which is a named type"),
    "a plugin": (holding("plugin"), "'/stolen', which needs the filter 32015, a plugin"),
    "a bomb": (holding("bomb"), "'/stolen', which unpacks to 1,099,511,627,776 B"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_is_refused(attempt: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"password")
    make, words = ATTEMPTS[attempt]
    with pytest.raises(TflmBuildError) as refused:
        read_source(str(make(tmp_path, secret)))
    assert words in str(refused.value)
    assert "password" not in str(refused.value)


def test_what_a_trusted_file_names_is_let_through_but_no_link_out_of_it(tmp_path: Path) -> None:
    trusted = calls("io.write_file")(tmp_path, tmp_path)
    assert read_source(str(trusted), unsafe=True).kind == "h5"
    with pytest.raises(TflmBuildError, match="lie in another file"):
        read_source(str(external(tmp_path, tmp_path / "secret")), unsafe=True)


def test_an_arithmetic_layer_of_keras_2_is_let_through(tmp_path: Path) -> None:
    assert read_source(str(h5(tmp_path, layer("TFOpLambda", function="math.add")))).data


SAVED_MODELS = {"WriteFile": "tf.io.write_file({canary!r}, 'x')", "ReadFile": "tf.io.read_file({canary!r})",
                "MatchingFiles": "tf.io.matching_files({canary!r})",
                "PyFunc": "tf.numpy_function(lambda v: v, [x], tf.float32)",
                "EagerPyFunc": "tf.py_function(lambda v: v, [x], tf.float32)",
                "PrintV2": "tf.raw_ops.PrintV2(input='x', output_stream='file://' + {canary!r})",
                "RestoreV2": "tf.raw_ops.RestoreV2(prefix={canary!r}, tensor_names=['x'], shape_and_slices=[''],"
                " dtypes=[tf.float32])",
                "SaveV2": "tf.raw_ops.SaveV2(prefix={canary!r}, tensor_names=['x'], shape_and_slices=[''],"
                " tensors=[x])",
                "ImmutableConst": "tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=[8], memory_region_name={canary!r})",
                "": "x"}  # fmt: skip


@pytest.fixture(scope="module")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let one process save a SavedModel for each op, without running any."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("saved_models")
    lines = ["import tensorflow as tf"]
    for index, code in enumerate(SAVED_MODELS.values()):
        lines += [
            f"class M{index}(tf.Module):",
            "    def __init__(self): super().__init__(); self.w = tf.Variable([1., 2.])",
            "    @tf.function(input_signature=[tf.TensorSpec([1, 2], tf.float32)])",
            "    def __call__(self, x):",
            f"        {code.format(canary=str(folder / 'canary'))}",
            "        return {'y': x * self.w}",
            f"m = M{index}(); tf.saved_model.save(m, {str(folder / str(index))!r}, signatures=m.__call__)",
        ]
    script = folder / "save.py"
    script.write_text("\n".join(lines) + REFUSED_BY_KERAS_3)
    subprocess.run([sys.executable, script], check=True, capture_output=True, cwd=folder)
    return folder


REFUSED_BY_KERAS_3 = """
import h5py, keras, sys
from tflm_build.errors import TflmBuildError
from tflm_build.tasks.load_model import load_model

def saved(name, *layers):
    keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1)]).save(name)
    return h5py.File(name, "r+")

saved("lambda.h5", keras.layers.Lambda(lambda x: x)).close()
for name in ("external.h5", "virtual.h5"):
    with saved(name) as file:
        names = []
        file.visit(lambda each: names.append(each) if each.endswith("kernel") else None)
        del file[names[0]]
        if name == "external.h5":
            file.create_dataset(names[0], (2, 1), "f4", external=[("0/saved_model.pb", 0, 8)])
        else:
            layout = h5py.VirtualLayout((2, 1), "f4")
            layout[:] = h5py.VirtualSource("lambda.h5", "x", (2, 1))
            file.create_virtual_dataset(names[0], layout)
with open("refusals", "w") as refusals:
    for name in ("lambda.h5", "external.h5", "virtual.h5"):
        try:
            load_model("h5", name, unsafe=False)
            print(name, "was loaded", file=refusals)
        except TflmBuildError as error:
            print(name, error, "tf_keras" in sys.modules, file=refusals)
"""


def test_what_keras_3_refuses_for_safety_keras_2_is_not_asked(saved_models: Path) -> None:
    """The files are judged before; should that judge err, no second road opens what Keras 3 would not."""
    refusals = (saved_models / "refusals").read_text().splitlines()
    for line, reason in zip(refusals, ("arbitrary code execution", "external", "virtual"), strict=True):
        assert f"is not a model that Keras {metadata.version('keras')} can load: ValueError: " in line
        assert reason in line
        assert line.endswith("save it again False")


def test_ops_of_a_saved_model(saved_models: Path) -> None:
    from tflm_build.tasks.check_saved_model import verify_saved_model

    for index, op in enumerate(SAVED_MODELS):
        if not op:
            verify_saved_model(str(saved_models / str(index)))
            continue
        with pytest.raises(TflmBuildError, match=f"with the op {op} in"):
            verify_saved_model(str(saved_models / str(index)))
    assert not (saved_models / "canary").exists()


def test_a_saved_model_is_refused_by_the_command(saved_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build("convert", "--name", "m", "--src", saved_models / "0", "--out-dir", tmp_path / "out", "--quiet")
    assert result.returncode == 1
    assert "--src is a SavedModel with the op WriteFile" in result.stderr
    assert not (saved_models / "canary").exists()


def test_a_file_that_is_replaced_after_it_was_judged(keras_models: Path, tmp_path: Path) -> None:
    """What the child is given are the bytes that were read; the path is not opened again."""
    from tflm_build.stages.convert import _private_copy

    path = tmp_path / "model.keras"
    judged = (keras_models / "classifier.keras").read_bytes()
    path.write_bytes(judged)
    source = read_source(str(path))
    path.write_bytes(b"replaced")
    assert _private_copy(source) == {"paths": ["model.keras"], "copy.0": judged}
