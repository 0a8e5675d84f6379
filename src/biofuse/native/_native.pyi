"""What the extension module has, for type checkers; its own docstrings say what it does."""

from array import array
from typing import Any, Literal, TypeAlias

import numpy as np
from typing_extensions import Buffer

# numpy tells of its buffers from Python 3.12 on.
_Buffer: TypeAlias = Buffer | np.ndarray[Any, Any]

class NativeError(ValueError):
    sample: int
    phased: bool
    chunk: int
    row: int
    unsupported: bool
    allele: bool
    def __init__(
        self,
        detail: str,
        chunk: int = -1,
        row: int = -1,
        unsupported: bool = False,
        allele: bool = False,
        phased: bool = False,
        sample: int = -1,
    ) -> None: ...

class RecordEncoder: ...
class Plink1Encoder(RecordEncoder): ...

class BgenEncoder(RecordEncoder):
    def __new__(
        cls,
        field: str,
        bits: int,
        haploid_as_diploid: bool,
        offsets: _Buffer | None = None,
        heads: _Buffer | None = None,
    ) -> BgenEncoder: ...
    def data_size(self, num_samples: int, ploidy: int) -> int: ...

class PackedRows:
    def __new__(cls, alleles: _Buffer, first_row: int, room: int | None = None) -> PackedRows: ...
    @property
    def row_bits(self) -> int: ...
    @property
    def first_row(self) -> int: ...
    @property
    def last_row(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def append(self, alleles: _Buffer) -> None: ...
    def append_rows(self, other: PackedRows, first: int, last: int) -> None: ...

class Cache:
    def __new__(cls, limit: int) -> Cache: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def counts(self) -> tuple[int, int]: ...

class Rows:
    def __new__(
        cls,
        chunk_rows: int,
        chunk_samples: int,
        ploidy: int,
        num_samples: _Buffer,
        samples: _Buffer | None = None,
        cache: Cache | None = None,
        owner: int = 0,
    ) -> Rows: ...
    @property
    def chunk_rows(self) -> int: ...
    @property
    def chunk_samples(self) -> int: ...
    @property
    def ploidy(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def set_frame(
        self,
        chunk: int,
        index: _Buffer,
        span: _Buffer,
        span_start: int,
        frame_size: int,
        identity: int = 0,
        version: int = 0,
    ) -> None: ...
    def set_packed(self, chunk: int, packed: PackedRows) -> None: ...
    def set_constant(self, chunk: int, allele: int) -> None: ...
    def release(self) -> None: ...
    def encode(
        self,
        encoder: RecordEncoder,
        rows: _Buffer,
        first_record: int,
        record_size: int,
        out: _Buffer,
        offsets: _Buffer | None = None,
        phased: Rows | None = None,
        phased_rows: _Buffer | None = None,
        values: _Buffer | None = None,
        num_values: int = 0,
    ) -> None: ...
    def full_rows(self, rows: _Buffer) -> array[int]: ...
    def counts(self, rows: _Buffer, num_alleles: int) -> array[int]: ...
    def has_fill(self, row: int) -> bool: ...
    def alleles(self, row: int) -> bytes: ...

class Values:
    def __new__(cls, chunk_rows: int, row_values: int) -> Values: ...
    def read(
        self,
        index: _Buffer,
        span: _Buffer,
        span_start: int,
        frame_size: int,
        rows: _Buffer,
        num_values: int,
        out: _Buffer,
        column: int,
    ) -> None: ...

def frame_index_size(head: _Buffer, raw_size: int, frame_size: int, item_size: int = 1) -> int: ...
def frame_block_size(head: _Buffer) -> int: ...
def frame_span(
    index: _Buffer, raw_size: int, frame_size: int, first: int, last: int, item_size: int = 1
) -> tuple[int, int]: ...
def bgen_heads(
    varids: list[str],
    rsids: list[str],
    chroms: list[str],
    positions: _Buffer,
    alleles1: list[str],
    alleles2: list[str],
) -> tuple[bytearray, array[int]]: ...
def gather_values(values: _Buffer, samples: _Buffer, num_values: int, out: _Buffer) -> None: ...
def trim_heap() -> None: ...
def give_back_blocks_of(size: int) -> None: ...

class Wanted:
    @property
    def is_request(self) -> bool: ...
    @property
    def file(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def slot(self) -> int: ...
    @property
    def unique(self) -> int: ...
    @property
    def array(self) -> int: ...
    @property
    def chunk_row(self) -> int: ...

class Engine:
    def __new__(
        cls,
        cache: Cache,
        folder: int,
        open_files: int,
        ahead_bytes: int,
        variants: _Buffer | None = None,
    ) -> Engine: ...
    def add_array(
        self,
        chunk_rows: int,
        raw_size: int,
        columns: _Buffer,
        local: bool,
        prefix: bytes,
        separator: bytes,
        tail: bytes,
        opened_ns: int,
        max_block: int,
    ) -> int: ...
    def add_file(
        self,
        header: _Buffer,
        size: int,
        records: int,
        record_size: int,
        offsets: _Buffer | None,
        encoder: RecordEncoder | None,
        genotypes: int,
        phased: int,
    ) -> None: ...
    def add_context(self, rows: list[Rows]) -> None: ...
    def watch(self, paths: list[bytes]) -> None: ...
    def give_bytes(self, array: int, chunk_row: int, chunk: int, data: _Buffer) -> None: ...
    def give_part(
        self, array: int, chunk_row: int, chunk: int, fd: int, base: int, size: int
    ) -> None: ...
    def give_absent(
        self, array: int, chunk_row: int, chunk: int, fill: int, folder: bytes | None = None
    ) -> None: ...
    def connect(self, socket: int, fuse: int, table: _Buffer) -> None: ...
    def serve(self) -> Wanted | Literal[False] | None: ...
    def answer(self, request: Wanted) -> Wanted | None: ...
    def reply(self, request: Wanted, data: _Buffer) -> None: ...
    def read(self, file: int, offset: int, size: int) -> bytes | Wanted: ...
    def prepare(self) -> Wanted | bool: ...
    def publish(self) -> None: ...
