"""C kernels and their binding; see the headers beside this file."""

from biofuse.native._native import (
    NativeError,
    PackedRows,
    Plink1Encoder,
    RecordEncoder,
    Rows,
    frame_index_size,
    frame_span,
)

__all__ = [
    "NativeError",
    "PackedRows",
    "Plink1Encoder",
    "RecordEncoder",
    "Rows",
    "frame_index_size",
    "frame_span",
]
