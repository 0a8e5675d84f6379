"""Messages between serve and the worker, over a SOCK_SEQPACKET pair.

Each message is one packet. A request names consecutive records of a streamed file
and the part of the shared window to write them to; its reply says how many bytes
were written, or an errno and a line of text.
"""

import struct
from dataclasses import astuple, dataclass

_REQUEST = struct.Struct("<QIQQQQ")
_REPLY = struct.Struct("<QiQ5Q")
MAX_MESSAGE = 4096


@dataclass(frozen=True, slots=True)
class Request:
    """Encode records first to last, exclusive, of a streamed file.

    Attributes
    ----------
    id : int
        Comes back in the reply.
    file : int
        Index into the plan's streamed files.
    first, last : int
        Records.
    offset, size : int
        Where in the window they go, and how many bytes they take.
    """

    id: int
    file: int
    first: int
    last: int
    offset: int
    size: int

    def pack(self) -> bytes:
        return _REQUEST.pack(self.id, self.file, self.first, self.last, self.offset, self.size)

    @classmethod
    def unpack(cls, data: bytes) -> "Request":
        return cls(*_REQUEST.unpack(data))


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What a worker's caches hold, and what they have done since it began.

    Attributes
    ----------
    size : int
        Bytes that are kept.
    plane_hits, plane_misses : int
        Blocks whose planes were there, or had to be decompressed.
    chunk_hits, chunk_misses : int
        Offset tables, and parts of chunks that were decoded whole, that were there or not.
    """

    size: int = 0
    plane_hits: int = 0
    plane_misses: int = 0
    chunk_hits: int = 0
    chunk_misses: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request.

    Attributes
    ----------
    id : int
    errno : int
        0 if all went well.
    size : int
        Bytes written.
    message : str
        What went wrong.
    use : CacheUse
    """

    id: int
    errno: int
    size: int
    message: str = ""
    use: CacheUse = CacheUse()

    def pack(self) -> bytes:
        return (
            _REPLY.pack(self.id, self.errno, self.size, *astuple(self.use))
            + self.message.encode(errors="backslashreplace")[:2048]
        )

    @classmethod
    def unpack(cls, data: bytes) -> "Reply":
        id, errno, size, *use = _REPLY.unpack_from(data)
        return cls(id, errno, size, data[_REPLY.size :].decode(errors="replace"), CacheUse(*use))
