# SPDX-License-Identifier: Apache-2.0
"""Run one model on TensorFlow Lite for Microcontrollers (TFLM) for the host backend of the C runtime.

Where there is no tflite-micro wheel, `tasks/stand_in.py` answers, and standard error says so.

runtime/src/host_process.c starts this module with a socket as file descriptor 0; the protocol stands in
runtime/src/host.c. A model may crash the interpreter, so this process serves one session and ends with it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import os
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from tflm_build.used_memory import PATTERNS, fill_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["main"]

MAGIC = int.from_bytes(b"TFLMHOST", "little")
VERSION = 2
INVOKE = 1
RESET = 2
MAX_ARENA_SIZE = 1 << 30
MAX_DATA_SIZE = 256 << 20
MAX_TENSORS = 1024
# What a model that misleads the interpreter may take, above its arena, before it is stopped.
ADDRESS_SPACE = 4 << 30

OK = 0
ARENA_TOO_SMALL = 4
FAILED = 7

DTYPES = {0: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}


class RequestError(Exception):
    """Carry the status and the sentence with which a request is refused."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status for the socket; the message is for stderr."""
        super().__init__(message)
        self.status = status


class Tensor(NamedTuple):
    """An input or output as the caller's descriptor states it, with the shape that the interpreter states."""

    dtype: str
    size: int
    shape: tuple[int, ...] = ()


class Stream:
    """Read and write the protocol's numbers and byte strings."""

    def __init__(self, connection: socket.socket) -> None:
        """Take the socket."""
        self._socket = connection
        self._file = connection.makefile("rb")

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes; raise EOFError if the other side has closed the socket."""
        data = self._file.read(size)
        if len(data) != size:
            raise EOFError
        return data

    def numbers(self, count: int) -> tuple[int, ...]:
        """Read `count` numbers."""
        values: tuple[int, ...] = struct.unpack(f"<{count}Q", self.read(8 * count))
        return values

    def send(self, *numbers: int, data: bytes = b"") -> None:
        """Write numbers, then bytes, at once."""
        self._socket.sendall(struct.pack(f"<{len(numbers)}Q", *numbers) + data)


def _say(message: str) -> None:
    os.write(2, f"tflm-build: error: host backend: {message}\n".encode())  # sys.stderr is None if it came closed


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what TFLM prints while it is asked something that may well fail."""
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(null)
        os.close(kept)


def _take_socket() -> socket.socket:
    """Return the socket that came as stdin, and leave stdin empty and stdout on stderr, where TFLM may print."""
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 -- some of the three may be closed
        continue
    connection = socket.socket(fileno=os.dup(0))
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return connection


def _runtime() -> Any:
    """Return the module that has TFLM's interpreter, or what stands for it."""
    try:
        return importlib.import_module("tflite_micro").runtime
    except ImportError:
        stand_in = importlib.import_module("tflm_build.tasks.stand_in")
        note = "LiteRT's reference kernels answer for TFLM, for tflite-micro is not installed"
        os.write(2, f"tflm-build: note: host backend: {note}\n".encode())
        return stand_in


def _limit_memory(arena_size: int) -> None:
    """Have a model that asks for absurd amounts of memory fail instead of starving the machine."""
    try:
        resource = importlib.import_module("resource")
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = ADDRESS_SPACE + arena_size
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (ImportError, AttributeError, ValueError, OSError):  # a platform without such a limit, as macOS
        pass


def _allocate(runtime: Any, data: bytes, arena_size: int) -> Any:
    """Return an interpreter in an arena of that size; TFLM states its reasons on stderr."""
    try:
        return runtime.Interpreter.from_bytes(data, arena_size=arena_size)
    except Exception as error:  # noqa: BLE001 -- the reader of a damaged flatbuffer raises almost anything
        reason = str(error) or type(error).__name__
    # The texts for lack of memory are many and differ by kernel; whether a larger arena helps does not. Asking costs
    # next to nothing: pages of an arena that are not touched are not there.
    larger_helps = False
    with _silent(), contextlib.suppress(Exception):
        runtime.Interpreter.from_bytes(data, arena_size=MAX_ARENA_SIZE)
        larger_helps = True
    if larger_helps:
        msg = f"the arena is too small for the model; got {arena_size} bytes; pass a larger one, or build for this host"
        raise RequestError(ARENA_TOO_SMALL, msg)
    msg = f"TFLM cannot run the model; got {reason}"
    raise RequestError(FAILED, msg)


def _match(numpy: Any, kind: str, stated: list[Tensor], details: Callable[[int], dict[str, Any]]) -> list[Tensor]:
    """Return the tensors with their shapes; refuse a descriptor that does not fit the model."""
    actual: list[dict[str, Any]] = []
    with _silent(), contextlib.suppress(IndexError):  # how many there are shows only in the first that there is not
        while len(actual) <= MAX_TENSORS:
            actual.append(details(len(actual)))
    if len(actual) != len(stated):
        msg = f"{len(actual)} {kind}s in the model, {len(stated)} in its descriptor; generate the descriptor anew"
        raise RequestError(FAILED, msg)
    matched = []
    for index, (tensor, found) in enumerate(zip(stated, actual, strict=True)):
        shape = tuple(int(size) for size in found["shape"])
        dtype = numpy.dtype(found["dtype"] or object)  # None: a type that NumPy lacks
        size = math.prod(shape) * dtype.itemsize
        if (str(dtype), size) != (tensor.dtype, tensor.size):
            msg = (
                f"{kind} {index} has {size} bytes of {dtype} in the model, {tensor.size} of {tensor.dtype} in its "
                "descriptor; generate the descriptor anew"
            )
            raise RequestError(FAILED, msg)
        matched.append(tensor._replace(shape=shape))
    return matched


def _read_tensors(stream: Stream, count: int) -> list[Tensor]:
    pairs = [stream.numbers(2) for _ in range(count)]
    return [Tensor(DTYPES.get(code, f"type {code}"), size) for code, size in pairs]


def _open(stream: Stream, numpy: Any, runtime: Any) -> tuple[Callable[[], Any], Any, list[Tensor], list[Tensor]]:
    """Read the `open` request; return what makes an interpreter, one that it made, its inputs and its outputs."""
    arena_size, data_size, input_count, output_count = stream.numbers(4)
    if arena_size > MAX_ARENA_SIZE or data_size > MAX_DATA_SIZE or max(input_count, output_count) > MAX_TENSORS:
        raise EOFError  # the runtime sends nothing of the kind
    inputs = _read_tensors(stream, input_count)
    outputs = _read_tensors(stream, output_count)
    data = stream.read(data_size)
    _limit_memory(arena_size)
    allocate = functools.partial(_allocate, runtime, data, arena_size)
    interpreter = allocate()
    return (
        allocate,
        interpreter,
        _match(numpy, "input", inputs, interpreter.get_input_details),
        _match(numpy, "output", outputs, interpreter.get_output_details),
    )


def _invoke(numpy: Any, interpreter: Any, inputs: list[tuple[Tensor, bytes]], outputs: list[Tensor]) -> bytes:
    """Run the model once; return the bytes of its outputs, one after the other."""
    try:
        for index, (tensor, data) in enumerate(inputs):
            interpreter.set_input(numpy.frombuffer(data, tensor.dtype).reshape(tensor.shape), index)
        interpreter.invoke()
        results = [interpreter.get_output(index).tobytes() for index in range(len(outputs))]
    except (RuntimeError, ValueError, MemoryError) as error:
        msg = f"TFLM cannot run the model; got {str(error) or type(error).__name__}"
        raise RequestError(FAILED, msg) from error
    if any(len(result) != tensor.size for result, tensor in zip(results, outputs, strict=True)):
        msg = "TFLM changed the size of an output, which the caller's memory cannot follow"
        raise RequestError(FAILED, msg)
    return b"".join(results)


def _serve(stream: Stream, numpy: Any, runtime: Any) -> None:
    """Answer one session; return when its model is refused, raise EOFError when it is closed."""
    stream.send(MAGIC, VERSION)
    try:
        allocate, interpreter, inputs, outputs = _open(stream, numpy, runtime)
    except RequestError as refusal:
        _say(str(refusal))
        stream.send(refusal.status)
        return
    stream.send(OK)
    while (request := stream.numbers(1)[0]) in {INVOKE, RESET}:
        try:
            if request == INVOKE:
                vector = [(tensor, stream.read(tensor.size)) for tensor in inputs]
                answer = _invoke(numpy, interpreter, vector, outputs)
            else:
                # Not Interpreter.reset(): it sets variables to zero, and CALL_ONCE does not run again.
                interpreter, answer = allocate(), b""
        except RequestError as refusal:  # noqa: PERF203 - a request may fail, and the next one not
            _say(str(refusal))
            stream.send(refusal.status)
        else:
            stream.send(OK, data=answer)


def main() -> int:
    """Serve the socket that is file descriptor 0; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end closes the socket
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a pool of threads would count against the memory limit
    try:
        connection = _take_socket()
    except OSError:
        _say("stdin is not a socket; only the C runtime starts this module")
        return 1
    try:
        numpy = importlib.import_module("numpy")
        runtime = _runtime()
        fill_memory(PATTERNS[0])  # as on a device, where the arena holds what others left there
    except ImportError:
        _say(f'needs the tflite-micro package in {sys.executable}; got none; pip install "tflm-build[host]"')
        return 1
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _serve(Stream(connection), numpy, runtime)
    return 0


if __name__ == "__main__":
    sys.exit(main())
