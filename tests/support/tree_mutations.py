# SPDX-License-Identifier: Apache-2.0
"""Change what a model says, through the schema's object tree: bytes stay a flatbuffer, and the meaning may not.

Those of HARMLESS leave what the model computes as it is; the others may do anything that a tree can hold.
"""

import copy
import random
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from support.hand_made import flatbuffers, schema
from support.harmless_changes import (
    HARMLESS,
    Change,
    Find,
    any_operator,
    any_quantization,
    any_subgraph,
    any_tensor,
    to,
)

__all__ = ["CHANGES", "Mutant", "mutate_tree"]

NUMBERS = (-(1 << 31), -2, -1, 0, 1, 2, 3, 5, 8, 17, 127, 128, 255, 1 << 16, 1 << 24, (1 << 31) - 1)
SCALES = (0.0, -1.0, 1e-38, 1e-9, 0.5, 1.0, 1e9, 3e38, float("inf"), float("nan"))


@dataclass(frozen=True)
class Mutant:
    """A changed model.

    Attributes:
        flatbuffer: its bytes.
        kinds: what was done to it, in order.
        harmless: whether it still computes what its source does.
    """

    flatbuffer: bytes
    kinds: tuple[str, ...]
    harmless: bool


def mutate_tree(source: bytes, seed: int) -> Mutant:
    """Change a model in one to three ways, the same for the same seed: a third of the seeds without harm."""
    generator = random.Random(seed)  # noqa: S311 - damage has to be repeatable, not secret
    harmless = generator.random() < 1 / 3
    table = HARMLESS if harmless else CHANGES
    tree, kinds = schema.ModelT.InitFromPackedBuf(source), []
    for _ in range(generator.choice((1, 1, 1, 2, 3))):
        kind = generator.choice(list(table))
        changed = copy.deepcopy(tree)
        try:
            table[kind](generator, changed)
            pack(changed)
        except (TypeError, ValueError, AttributeError, IndexError, OverflowError, struct.error):
            continue  # the model has no place for it, or the schema no field that is wide enough
        tree = changed
        kinds.append(kind)
    return Mutant(pack(tree), tuple(kinds), all(kind in HARMLESS for kind in kinds))


def pack(tree: Any) -> bytes:
    """Write a tree as any writer of flatbuffers does, not as ours."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def any_options(generator: random.Random, tree: Any) -> Any:
    operators = [operator for subgraph in tree.subgraphs for operator in subgraph.operators]
    return generator.choice([operator.builtinOptions for operator in operators if operator.builtinOptions])


def resized(generator: random.Random, values: Any) -> list[Any]:
    """Return a vector that is longer, shorter, empty or in another order."""
    values = [] if values is None else list(values)
    return list(generator.choice((values[:-1], values[1:], [], [*values, *values[-1:]], values * 2, values[::-1])))


def replaced(generator: random.Random, values: Any, choices: Any) -> list[Any]:
    """Return a vector with another number in one place."""
    changed = list(values)
    changed[generator.randrange(len(changed))] = generator.choice(choices)
    return changed


def in_vector(find: Find, field: str, choices: Any = NUMBERS) -> Change:
    """Put another number into a vector."""

    def change(generator: random.Random, tree: Any) -> None:
        table = find(generator, tree)
        setattr(table, field, replaced(generator, getattr(table, field), choices))

    return change


def of_length(find: Find, field: str) -> Change:
    """Give a vector another length or order."""

    def change(generator: random.Random, tree: Any) -> None:
        table = find(generator, tree)
        setattr(table, field, resized(generator, getattr(table, field)))

    return change


def any_buffer(generator: random.Random, tree: Any) -> Any:
    return generator.choice(tree.buffers)


def any_code(generator: random.Random, tree: Any) -> Any:
    return generator.choice(tree.operatorCodes)


def alias_buffers(generator: random.Random, tree: Any) -> None:
    any_tensor(generator, tree).buffer = any_tensor(generator, tree).buffer


def swap(generator: random.Random, items: Any) -> None:
    left, right = generator.sample(range(len(items)), 2)
    items[left], items[right] = items[right], items[left]


def swap_operators(generator: random.Random, tree: Any) -> None:
    swap(generator, any_subgraph(generator, tree).operators)


def swap_tensors(generator: random.Random, tree: Any) -> None:
    swap(generator, any_subgraph(generator, tree).tensors)


def swap_options(generator: random.Random, tree: Any) -> None:
    """Give an operator the options of another, in the union or beside its tag."""
    target, source = any_operator(generator, tree), any_operator(generator, tree)
    target.builtinOptions, target.builtinOptionsType = source.builtinOptions, source.builtinOptionsType


def foreign_options(generator: random.Random, tree: Any) -> None:
    unions = {name: number for name, number in vars(schema.BuiltinOptions).items() if isinstance(number, int)}
    name = generator.choice([name for name in unions if name != "NONE"])
    operator = any_operator(generator, tree)
    operator.builtinOptionsType, operator.builtinOptions = unions[name], getattr(schema, f"{name}T")()


def foreign_options_2(generator: random.Random, tree: Any) -> None:
    unions = {name: number for name, number in vars(schema.BuiltinOptions2).items() if isinstance(number, int)}
    name = generator.choice([name for name in unions if name != "NONE"])
    operator = any_operator(generator, tree)
    operator.builtinOptions2Type, operator.builtinOptions2 = unions[name], getattr(schema, f"{name}T")()


def change_option(generator: random.Random, tree: Any) -> None:
    options = any_options(generator, tree)
    name = generator.choice(list(vars(options)))
    setattr(options, name, generator.choice((*NUMBERS, 0.5, True)))


def feed_back(generator: random.Random, tree: Any) -> None:
    """Let an operator read what it or another writes."""
    subgraph = any_subgraph(generator, tree)
    reader, writer = generator.choice(subgraph.operators), generator.choice(subgraph.operators)
    reader.inputs = replaced(generator, reader.inputs, list(writer.outputs))


def write_over(generator: random.Random, tree: Any) -> None:
    """Let an operator write its own input, a constant or a variable."""
    operator = any_operator(generator, tree)
    operator.outputs = replaced(generator, operator.outputs, list(operator.inputs))


def add_subgraph(generator: random.Random, tree: Any) -> None:
    tree.subgraphs.append(copy.deepcopy(any_subgraph(generator, tree)))


def call_subgraph(generator: random.Random, tree: Any) -> None:
    """Let an operator that calls nothing be one that calls, maybe itself."""
    name, fields = generator.choice(
        (
            ("CallOnceOptions", ("initSubgraphIndex",)),
            ("IfOptions", ("thenSubgraphIndex", "elseSubgraphIndex")),
            ("WhileOptions", ("condSubgraphIndex", "bodySubgraphIndex")),
        )
    )
    subgraph = any_subgraph(generator, tree)
    code = getattr(schema.BuiltinOperator, {"C": "CALL_ONCE", "I": "IF", "W": "WHILE"}[name[0]])
    tree.operatorCodes.append(schema.OperatorCodeT(deprecatedBuiltinCode=min(code, 127), builtinCode=code, version=1))
    options = getattr(schema, f"{name}T")()
    for field in fields:
        setattr(options, field, generator.randrange(-1, len(tree.subgraphs) + 1))
    operator = generator.choice(subgraph.operators)
    operator.opcodeIndex, operator.builtinOptions = len(tree.operatorCodes) - 1, options
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)


def add_sparsity(generator: random.Random, tree: Any) -> None:
    dimension = schema.DimensionMetadataT(format=generator.choice((0, 1)), denseSize=generator.choice((0, 4, 1 << 30)))
    index = schema.Uint8VectorT(values=np.array([0, 9, 255], np.uint8))
    dimension.arraySegmentsType = dimension.arrayIndicesType = schema.SparseIndexVector.Uint8Vector
    dimension.arraySegments, dimension.arrayIndices = index, index
    any_tensor(generator, tree).sparsity = schema.SparsityParametersT(
        traversalOrder=[generator.choice((0, 7))], blockMap=[0], dimMetadata=[dimension]
    )


def plan_memory(generator: random.Random, tree: Any) -> None:
    """Add a plan of the memory, of the right length or another, with places anywhere."""
    count = len(tree.subgraphs[0].tensors) + generator.choice((0, 0, -1, 5))
    places = [generator.choice((-1, -1, 0, 16, 7, -5, 1 << 28)) for _ in range(max(0, count))]
    head = generator.choice(([1, 0, count], [1, 0, count], [1, 0, 1 << 30], [0, 9, -1], []))
    tree.buffers.append(schema.BufferT(data=np.array([*head, *places], np.int32).view(np.uint8)))
    entry = schema.MetadataT(name=b"OfflineMemoryAllocation", buffer=len(tree.buffers) - 1)
    tree.metadata = [*(tree.metadata or []), entry]


def drop(generator: random.Random, tree: Any) -> None:
    subgraph = any_subgraph(generator, tree)
    items = generator.choice((tree.buffers, tree.operatorCodes, tree.subgraphs, subgraph.tensors, subgraph.operators))
    del items[generator.randrange(len(items))]


def reshape(generator: random.Random, tree: Any) -> None:
    """Keep the number of elements, with other sizes."""
    tensor = any_tensor(generator, tree)
    elements = int(np.prod(tensor.shape))
    tensor.shape = generator.choice(([elements], [elements, 1], [1, 1, elements], [1] * 7 + [elements], [1, elements]))


def spoil_data(generator: random.Random, tree: Any) -> None:
    buffer = generator.choice([buffer for buffer in tree.buffers if buffer.data is not None and len(buffer.data)])
    buffer.data = np.frombuffer(generator.choice((bytes, generator.randbytes))(len(buffer.data)), np.uint8)


def custom_quantization(generator: random.Random, tree: Any) -> None:
    parameters = any_quantization(generator, tree)
    parameters.detailsType = schema.QuantizationDetails.CustomQuantization
    parameters.details = schema.CustomQuantizationT(custom=[generator.randrange(256)])


def same_variable(generator: random.Random, tree: Any) -> None:
    """Let an operator write into a variable, or read one as if it were a constant."""
    tensor = any_tensor(generator, tree)
    tensor.isVariable, tensor.buffer = True, generator.choice((0, tensor.buffer))


OPERATORS = [number for number in vars(schema.BuiltinOperator).values() if isinstance(number, int)]
TYPES = [number for number in vars(schema.TensorType).values() if isinstance(number, int)]
CHANGES: dict[str, Change] = HARMLESS | {
    "a size of a shape": in_vector(any_tensor, "shape"),
    "rank of a shape": of_length(any_tensor, "shape"),
    "no shape": to(any_tensor, "shape", None, []),
    "a shape of as many elements": reshape,
    "shape signature": to(any_tensor, "shapeSignature", [-1], [-1, -1], [1, 2, 3, 4, 5], [-7, 0]),
    "type of a tensor": to(any_tensor, "type", *TYPES, 77, 127),
    "buffer of a tensor": to(any_tensor, "buffer", 0, 1, 2, 99, (1 << 32) - 1),
    "buffers shared": alias_buffers,
    "variable": same_variable,
    "no variable": to(any_tensor, "isVariable", 0, 1),
    "external buffer": to(any_tensor, "externalBuffer", 1, 1 << 20),
    "variant": to(any_tensor, "variantTensors", [schema.VariantSubTypeT()], []),
    "sparsity": add_sparsity,
    "a scale": in_vector(any_quantization, "scale", SCALES),
    "scales": of_length(any_quantization, "scale"),
    "no scales": to(any_quantization, "scale", None, []),
    "a zero point": in_vector(any_quantization, "zeroPoint", (*NUMBERS, 1 << 40)),
    "zero points": of_length(any_quantization, "zeroPoint"),
    "axis": to(any_quantization, "quantizedDimension", *NUMBERS),
    "no quantization": to(any_tensor, "quantization", None),
    "custom quantization": custom_quantization,
    "an operator's input": in_vector(any_operator, "inputs"),
    "an operator's inputs": of_length(any_operator, "inputs"),
    "an operator's output": in_vector(any_operator, "outputs"),
    "an operator's outputs": of_length(any_operator, "outputs"),
    "intermediates": to(any_operator, "intermediates", [0], [-1, 1], [99]),
    "mutating inputs": to(any_operator, "mutatingVariableInputs", [True], [False] * 99),
    "an operator's input from an output": feed_back,
    "an operator's output over an input": write_over,
    "operator code": to(any_operator, "opcodeIndex", 0, 1, 2, 99),
    "no options": to(any_operator, "builtinOptions", None),
    "options of another operator": swap_options,
    "options of another kind": foreign_options,
    "tag of the options": to(any_operator, "builtinOptionsType", *range(0, 128, 9)),
    "second options": foreign_options_2,
    "an option": change_option,
    "custom options": to(any_operator, "customOptions", np.zeros(0, np.uint8), np.arange(64, dtype=np.uint8)),
    "options outside": to(any_operator, "largeCustomOptionsOffset", 1, 1 << 40),
    "builtin code": to(any_code, "builtinCode", *OPERATORS, 9999),
    "old builtin code": to(any_code, "deprecatedBuiltinCode", *range(-1, 128, 8)),
    "custom code": to(any_code, "customCode", None, b"", b"SignalFftAutoScale", b"\xff", b"x" * 999),
    "version of an op": to(any_code, "version", *NUMBERS),
    "subgraph's inputs": of_length(any_subgraph, "inputs"),
    "a subgraph's input": in_vector(any_subgraph, "inputs"),
    "subgraph's outputs": of_length(any_subgraph, "outputs"),
    "a subgraph's output": in_vector(any_subgraph, "outputs"),
    "order of operators": swap_operators,
    "order of tensors": swap_tensors,
    "one more subgraph": add_subgraph,
    "a call": call_subgraph,
    "something left out": drop,
    "buffer's data": spoil_data,
    "buffer's length": of_length(any_buffer, "data"),
    "buffer outside": to(any_buffer, "offset", 1, 2, 100, 1 << 40),
    "buffer's size": to(any_buffer, "size", 1, 2, 100, 1 << 40),
    "memory plan": plan_memory,
    "version of the schema": lambda generator, tree: setattr(tree, "version", generator.choice((0, 2, 4))),
    "no tensors": to(any_subgraph, "tensors", None, []),
    "no operators": to(any_subgraph, "operators", None, []),
}
