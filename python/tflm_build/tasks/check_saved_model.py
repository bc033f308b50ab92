# SPDX-License-Identifier: Apache-2.0
"""Refuse a SavedModel whose graph does more than compute: only imported in the converter's child process.

What an op may do is derived from TensorFlow's own registry. `is_stateful` alone does not tell: ReadFile,
PyFuncStateless, ImmutableConst and all data sets are registered as stateless. But whatever reaches out of the process
has to name what it reaches: by a string, a resource or a variant among its inputs, or by a free text or a list of texts
among its attributes. An op that is stateless and has none of these computes tensors of tensors. Loops, calls, variables
and random numbers are on a list of their own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tflm_build.errors import TflmBuildError, first_line

__all__ = ["verify_saved_model"]

# Stateful, and harmless: calls and loops, whose functions are judged too; variables of this process; random numbers.
_ALSO: Final = frozenset(
    "Assert Assign AssignAddVariableOp AssignSubVariableOp AssignVariableOp Case EmptyTensorList Identity IdentityN If "
    "Multinomial PartitionedCall Placeholder PlaceholderWithDefault RandomShuffle RandomStandardNormal RandomUniform "
    "RandomUniformInt ReadVariableOp ResourceGather ResourceGatherNd RngReadAndSkip StatefulPartitionedCall "
    "StatelessCase StatelessIf StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessWhile TensorListConcatV2 "
    "TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem TensorListLength "
    "TensorListPopBack TensorListPushBack TensorListReserve TensorListResize TensorListScatter TensorListScatterV2 "
    "TensorListSetItem TensorListSplit TensorListStack TruncatedNormal VarHandleOp VarIsInitializedOp Variable "
    "VariableShape VariableV2 While".split()
)
_RESTORES: Final = frozenset({"RestoreV2"})  # reads variables from the SavedModel's own files, when it is loaded
_TEXTS: Final = frozenset(
    {"config", "config_proto", "dst_format", "equation", "executor_type", "frame_name", "src_format"}
)
_FOREIGN: Final = ("_", "Mlir", "Py", "TPU", "Xla")  # how names begin of ops that hand a program to somebody else


def verify_saved_model(path: str) -> None:
    """Judge every function and node of a SavedModel that loading or converting may run, without loading it.

    Args:
        path: of the folder.

    Raises:
        TflmBuildError: it cannot be parsed, or has an op that may do more than compute.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel()
    try:
        model.ParseFromString((Path(path) / "saved_model.pb").read_bytes())
    except DecodeError as error:
        msg = f"`SRC` is not a SavedModel that can be read: {first_line(error)}; export it again"
        raise TflmBuildError(msg) from error
    version_2 = len(model.meta_graphs) == 1 and model.meta_graphs[0].HasField("object_graph_def")
    for graph in model.meta_graphs:
        fault = next(_faults(graph, version_2=version_2), "")
        if fault:
            msg = (
                f"`SRC` is a SavedModel with {fault}, which may run code or reach files; allowed: ops that compute "
                "tensors, and variables; export the inference function alone, or, if you trust the files as you trust "
                "a program, pass `UNSAFE_DESERIALIZE`"
            )
            raise TflmBuildError(msg)


def _faults(graph: Any, *, version_2: bool) -> Iterator[str]:
    """Give what a graph must not have.

    TensorFlow 2 runs functions alone. The two that save and restore are called by main nodes that the saver names, and
    are never run by a loader: all others are judged, and none may call these. Of TensorFlow 1, main nodes run.
    """
    nodes = {node.name: node for node in graph.graph_def.node}
    saver = [graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name]
    savers = {name for each in saver if each.split(":")[0] in nodes for name in _calls(nodes[each.split(":")[0]])}
    if not version_2:
        savers = set()
        starts = [tensor.name for signature in graph.signature_def.values() for tensor in signature.outputs.values()]
        for key in ("saved_model_main_op", "legacy_init_op"):
            starts += graph.collection_def[key].node_list.value if key in graph.collection_def else []
        starts += [output.name for each in graph.signature_def.values() for output in each.inputs.values()]
        yield from _node_faults(_ancestors(nodes, starts), frozenset(), savers)
        yield from _node_faults(_ancestors(nodes, saver[1:]), _RESTORES, savers)
    for function in graph.graph_def.library.function:
        name = function.signature.name
        if name not in savers:
            yield from _node_faults(function.node_def, frozenset(), savers)
        elif name in graph.object_graph_def.concrete_functions or "api_implements" in function.attr:
            yield f"the function '{name}', which saves its variables, for others to call"


def _node_faults(nodes: Any, also: frozenset[str], savers: set[str]) -> Iterator[str]:
    """Give the nodes that may do more than compute."""
    from tensorflow.python.framework import op_def_registry

    for node in nodes:
        definition = op_def_registry.get(node.op)  # None: a call of a function by its name
        if node.op in savers or savers & set(_calls(node)):
            yield f"a node '{node.name}' that saves variables"
        elif definition is not None and node.op not in _ALSO | also and not _computes(definition):
            yield f"the op {node.op} in '{node.name}'"


def _computes(definition: Any) -> bool:
    """Say whether an op, by its registration, computes tensors of tensors and nothing else."""
    from tensorflow.core.framework import types_pb2

    names_things = {types_pb2.DT_STRING, types_pb2.DT_RESOURCE, types_pb2.DT_VARIANT}
    return not (
        definition.is_stateful
        or definition.name.startswith(_FOREIGN)
        or any(each.type in names_things for each in (*definition.input_arg, *definition.output_arg))
        or any(each.type == "list(string)" for each in definition.attr)
        or any(
            each.type == "string" and not each.HasField("allowed_values") and each.name not in _TEXTS
            for each in definition.attr
        )
    )


def _calls(node: Any) -> list[str]:
    """Return the functions that a node names."""
    values = node.attr.values()
    return [each.func.name for each in values if each.HasField("func")] + [
        function.name for each in values for function in each.list.func
    ]


def _ancestors(nodes: Any, starts: list[str]) -> list[Any]:
    """Return the nodes that are run for some tensors."""
    found: dict[str, Any] = {}
    waiting = list(starts)
    while waiting:
        name = waiting.pop().lstrip("^").split(":")[0]
        if name in nodes and name not in found:
            found[name] = nodes[name]
            waiting += nodes[name].input
    return list(found.values())
