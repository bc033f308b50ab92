# SPDX-License-Identifier: Apache-2.0
"""Read and write what Bazel exchanges with a persistent worker, as JSON or as protocol buffers.

Two fields of a request matter here, and three of a response. To read these by hand takes fewer lines than to describe
the messages to google.protobuf, whose interface differs among the versions that TensorFlow asks for.
"""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

__all__ = ["JsonStream", "ProtoStream", "WorkRequest", "WorkResponse", "WorkStream"]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # wire types
_CHUNK = 1 << 16


@dataclass(frozen=True)
class WorkRequest:
    """What Bazel asks for.

    Attributes:
        arguments: of the command line, behind those that the worker was started with.
        request_id: 0 for a worker that is asked one thing at a time.
    """

    arguments: tuple[str, ...]
    request_id: int


@dataclass(frozen=True)
class WorkResponse:
    """What a worker answers.

    Attributes:
        exit_code: as of a process.
        output: what is shown to the user.
        request_id: that of the request.
    """

    exit_code: int
    output: str
    request_id: int


class WorkStream(Protocol):
    """Requests that come, and responses that go."""

    def requests(self) -> Iterator[WorkRequest]:
        """Yield requests up to the end of the input."""

    def respond(self, response: WorkResponse) -> None:
        """Send a response at once."""


class JsonStream:
    """Objects one after the other; Bazel 4 puts nothing between them, later ones a newline."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        """Take unbuffered pipes."""
        self._source = source
        self._sink = sink

    def requests(self) -> Iterator[WorkRequest]:
        """Yield requests up to the end of the input."""
        decoder, text = codecs.getincrementaldecoder("utf-8")(), ""
        while chunk := self._source.read(_CHUNK):
            text = (text + decoder.decode(chunk)).lstrip()
            while text:
                try:
                    message, end = json.JSONDecoder().raw_decode(text)
                except json.JSONDecodeError:
                    break  # the rest is on its way
                text = text[end:].lstrip()
                yield WorkRequest(tuple(message.get("arguments", ())), message.get("requestId", 0))

    def respond(self, response: WorkResponse) -> None:
        """Send a response at once."""
        message: dict[str, Any] = {"exitCode": response.exit_code, "output": response.output}
        if response.request_id:  # Bazel 4 knows no such field
            message["requestId"] = response.request_id
        self._sink.write(json.dumps(message).encode() + b"\n")
        self._sink.flush()


class ProtoStream:
    """Messages with their length before them."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        """Take pipes, the source buffered."""
        self._source = source
        self._sink = sink

    def requests(self) -> Iterator[WorkRequest]:
        """Yield requests up to the end of the input.

        Raises:
            EOFError: it ended within a request.
        """
        while first := self._source.read(1):
            size, shift = first[0] & 0x7F, 7
            while first[0] & 0x80:
                first = self._exactly(1)
                size |= (first[0] & 0x7F) << shift
                shift += 7
            arguments, request_id = [], 0
            for field, value in _fields(self._exactly(size)):
                if field == 1 and isinstance(value, bytes):
                    arguments.append(value.decode())
                elif field == 3 and isinstance(value, int):  # noqa: PLR2004 - as worker_protocol.proto numbers it
                    request_id = value
            yield WorkRequest(tuple(arguments), request_id)

    def respond(self, response: WorkResponse) -> None:
        """Send a response at once."""
        output = response.output.encode()
        message = b"".join(
            [
                *(_varint(1 << 3) + _varint(code) for code in [response.exit_code] if code),
                _varint(2 << 3 | _LENGTH) + _varint(len(output)) + output,
                *(_varint(3 << 3) + _varint(number) for number in [response.request_id] if number),
            ]
        )
        self._sink.write(_varint(len(message)) + message)
        self._sink.flush()

    def _exactly(self, size: int) -> bytes:
        """Read so many bytes."""
        data = self._source.read(size)
        if len(data) != size:
            raise EOFError
        return data


def _varint(number: int) -> bytes:
    """Write a number that is not negative."""
    result = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits go into a byte
        result.append(number & 0x7F | 0x80)
        number >>= 7
    result.append(number)
    return bytes(result)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the numbers and values of a message's fields, also of those that a later Bazel adds."""
    at = 0

    def number() -> int:
        nonlocal at
        result, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            result |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return result
            shift += 7

    while at < len(message):
        key = number()
        kind = key & 7
        if kind == _VARINT:
            yield key >> 3, number()
            continue
        sizes = {_FIXED64: 8, _FIXED32: 4}
        size = number() if kind == _LENGTH else sizes[kind]
        yield key >> 3, message[at : at + size]
        at += size
