"""Messages between serve and the worker, over a SOCK_SEQPACKET pair.

Each message is one packet. A request names bytes of a streamed file, and the slot of the
shared table (`table`) that says so, too. The worker answers the kernel itself and marks the
slot; there is a message only of what it could not make.
"""

import struct
from typing import NamedTuple

_REQUEST = struct.Struct("<IIQQII")
_FAILURE = struct.Struct("<IIQQ")
_MAX_TEXT = 2048
MAX_MESSAGE = 4096
# In place of a record, where there is none to be named.
NO_RECORD = 2**64 - 1


class Request(NamedTuple):
    """Answer a read of a streamed file.

    Attributes
    ----------
    slot : int
    file : int
        Index into the plan's streamed files.
    unique : int
        The kernel's name for the read.
    offset, size : int
        Bytes of the file, all of them within its size.
    """

    slot: int
    file: int
    unique: int
    offset: int
    size: int

    def pack(self) -> bytes:
        return _REQUEST.pack(*self, 0)

    @classmethod
    def unpack(cls, data: bytes) -> "Request":
        return cls(*_REQUEST.unpack(data)[:-1])


class Failure(NamedTuple):
    """A read that the worker has not answered, since it cannot.

    Attributes
    ----------
    slot : int
    errno : int
        What the read is to return.
    unique : int
    record : int
        The first record that could not be made, or `NO_RECORD`.
    text : str
        What went wrong: one line.
    """

    slot: int
    errno: int
    unique: int
    record: int
    text: str

    def pack(self) -> bytes:
        return _FAILURE.pack(*self[:-1]) + self.text.encode(errors="backslashreplace")[:_MAX_TEXT]

    @classmethod
    def unpack(cls, data: bytes) -> "Failure":
        """Raises `struct.error` if a message is no failure."""
        slot, code, unique, record = _FAILURE.unpack_from(data)
        return cls(slot, code, unique, record, data[_FAILURE.size :].decode(errors="replace"))
