"""What the extension module has, for type checkers; its own docstrings say what it does."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, final

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

class RecordEncoder:
    @property
    def num_fields(self) -> int: ...

class SplitEncoder(RecordEncoder):
    def __new__(
        cls, encoder: RecordEncoder, alts: _Buffer, others_missing: bool
    ) -> SplitEncoder: ...

class Plink1Encoder(RecordEncoder): ...

class Plink2Encoder(RecordEncoder):
    def __new__(cls, field: str = "GT", calls: bool = True) -> Plink2Encoder: ...
    def record_size(self, num_samples: int) -> int: ...

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

class BcfEncoder(RecordEncoder):
    def __new__(
        cls,
        width: int,
        prefix: bytes,
        offsets: _Buffer | None = None,
        heads: _Buffer | None = None,
        formats: Sequence[tuple[str, str, int, bytes]] = (),
        head_offsets: _Buffer | None = None,
    ) -> BcfEncoder: ...
    def data_size(self, num_samples: int, ploidy: int, num_alleles: int = 1) -> int: ...
    def put_field(
        self,
        number: int,
        values: _Buffer,
        num_samples: int,
        ploidy: int,
        first_record: int,
        out: _Buffer,
    ) -> None: ...

@final
class BcfField:
    def __new__(cls, key: int, width: int, values: Texts | _Buffer) -> BcfField: ...

class CsiIndex:
    def __new__(cls, num_contigs: int) -> CsiIndex: ...
    def add(
        self, contigs: _Buffer, positions: _Buffer, lengths: _Buffer, offsets: _Buffer
    ) -> None: ...
    def to_bytes(self) -> bytes: ...

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
    def __new__(cls, chunk_rows: int, row_values: int, item_size: int = 4) -> Values: ...
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

@final
class Texts:
    def __new__(
        cls, data: _Buffer, starts: _Buffer, sizes: _Buffer, instead: bytes = b""
    ) -> Texts: ...
    @staticmethod
    def of(texts: Sequence[str]) -> Texts: ...
    def or_else(self, instead: str) -> Texts: ...
    def blank(self) -> Texts: ...
    def __len__(self) -> int: ...
    def __getitem__(self, i: int, /) -> str: ...
    def __iter__(self) -> Iterator[str]: ...
    def longest(self) -> int: ...
    @property
    def parts(self) -> tuple[memoryview, memoryview, memoryview]: ...
    @property
    def nbytes(self) -> int: ...

class BgiPages:
    PAGE_SIZE: int
    def __new__(cls, rows: _Buffer, ends: _Buffer, first_page: int) -> BgiPages: ...
    def read(self, enough: int) -> bytes: ...
    @property
    def next_page(self) -> int: ...
    @property
    def root(self) -> bytes: ...

def frame_index_size(head: _Buffer, raw_size: int, frame_size: int, item_size: int = 1) -> int: ...
def frame_block_size(head: _Buffer) -> int: ...
def frame_span(
    index: _Buffer, raw_size: int, frame_size: int, first: int, last: int, item_size: int = 1
) -> tuple[int, int]: ...
def bcf_heads(
    contigs: _Buffer,
    positions: _Buffer,
    lengths: _Buffer,
    qualities: _Buffer | None,
    ids: Texts,
    alleles: Texts,
    filters: _Buffer,
    filter_keys: _Buffer,
    fields: list[BcfField],
    records: BcfEncoder,
    num_samples: int,
    ploidy: int,
) -> tuple[memoryview, array[int], array[int]]: ...
def bgen_heads(
    varids: Texts,
    rsids: Texts,
    chroms: Texts,
    positions: _Buffer,
    alleles1: Texts,
    alleles2: Texts,
) -> tuple[bytes, array[int]]: ...
def bgen_compress(
    records: _Buffer, ends: _Buffer, method: str, level: int
) -> tuple[memoryview, array[int]]: ...
def bgzf_compress(blocks: _Buffer, ends: _Buffer, level: int) -> tuple[memoryview, array[int]]: ...
def bgen_samples(samples: Texts) -> bytes: ...
def bgi_rows(
    chroms: Texts,
    rsids: Texts,
    positions: _Buffer,
    alleles1: Texts,
    alleles2: Texts,
    offsets: _Buffer,
) -> memoryview: ...
def bim_lines(
    chrom: Texts,
    id: Texts,
    positions: _Buffer,
    a1: Texts,
    a2: Texts,
    cm: Texts | None = None,
) -> memoryview: ...
def pvar_lines(
    chrom: Texts,
    positions: _Buffer,
    id: Texts,
    ref: Texts,
    alt: Texts,
    quality: _Buffer | None = None,
    filter: Texts | None = None,
    info: Texts | None = None,
    cm: Texts | None = None,
) -> memoryview: ...
def info_texts(fields: Sequence[tuple[str, _Buffer | Texts]], count: int) -> Texts: ...
def index_of_highest(numbers: _Buffer) -> int: ...
def variant_ids(
    parts: Sequence[str],
    chroms: Texts,
    positions: _Buffer,
    refs: Texts,
    alts: Texts,
    rows: _Buffer,
) -> Texts: ...
def text_rows(columns: Sequence[Texts], separator: str) -> bytes: ...
def centimorgan_texts(numbers: _Buffer) -> Texts: ...
def vlen_texts(chunk: _Buffer, base: int, starts: _Buffer, sizes: _Buffer) -> None: ...
def gather_values(values: _Buffer, samples: _Buffer, num_values: int, out: _Buffer) -> None: ...
def text_width(
    chunk: _Buffer, rows: int, row_texts: int, num_values: int, num_samples: int
) -> int: ...
def text_cells(
    chunk: _Buffer,
    rows: int,
    row_texts: int,
    num_values: int,
    num_samples: int,
    first: int,
    last: int,
    width: int,
    out: _Buffer,
) -> None: ...
def die_with(parent: int) -> None: ...
def keep_freed_memory(size: int) -> None: ...
def trim_heap() -> None: ...
def give_back_blocks_of(size: int) -> None: ...

class Wanted:
    @property
    def is_request(self) -> bool: ...
    @property
    def is_answered(self) -> bool: ...
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
        framed: bool = False,
        variants: _Buffer | None = None,
        first: int = 0,
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
    def has_row(self, array: int, chunk_row: int) -> bool: ...
    def connect(self, socket: int, fuse: int, table: _Buffer) -> None: ...
    def serve(self, tell: bool = False) -> Wanted | bool | None: ...
    def answer(self, request: Wanted) -> Wanted | None: ...
    def count(self, number: int, n: int) -> None: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def runs(self) -> int: ...
    def list_runs(self) -> list[tuple[int, int, int, bool]]: ...
    def refuse(self) -> None: ...
    def keep_elsewhere(self, size: int) -> None: ...
    def read(self, file: int, offset: int, size: int) -> bytes | Wanted: ...
    def read_into(self, file: int, offset: int, out: _Buffer) -> int | Wanted: ...
    def write(self, file: int, offset: int, size: int, fd: int, at: int) -> int | Wanted: ...
    def prepare(self) -> Wanted | bool: ...
    def publish(self) -> None: ...
