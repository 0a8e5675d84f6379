"""C kernels and their binding; see the headers beside this file."""

from biofuse.native._native import (
    BgenEncoder,
    BlockCache,
    NativeError,
    PackedRows,
    Plink1Encoder,
    RecordEncoder,
    Rows,
    Values,
    bgen_heads,
    frame_block_size,
    frame_index_size,
    frame_span,
    gather_values,
    give_back_blocks_of,
    trim_heap,
)

__all__ = [
    "BgenEncoder",
    "BlockCache",
    "NativeError",
    "PackedRows",
    "Plink1Encoder",
    "RecordEncoder",
    "Rows",
    "Values",
    "bgen_heads",
    "frame_block_size",
    "frame_index_size",
    "frame_span",
    "gather_values",
    "give_back_blocks_of",
    "trim_heap",
]
