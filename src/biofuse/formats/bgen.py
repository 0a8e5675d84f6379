"""BGEN files: `.bgen`, `.bgen.bgi` and `.sample`.

Specification: https://www.chg.ox.ac.uk/~gav/bgen_format/spec/v1.2.html, layout 2, zlib
with stored blocks. The first allele is REF; chromosome names are the store's. All
genotype data of a file are of one size, so that offsets follow from strings.
"""

import struct
from array import array
from collections.abc import Sequence
from typing import Any

from biofuse.errors import BiofuseError
from biofuse.formats.base import GENOTYPES, PHASED, Layout, Sidecar, Subject, Variants
from biofuse.formats.bgi import BgiWriter
from biofuse.formats.text import SampleText

NAME = "bgen"
SUFFIX = ".bgen"

FIELDS = ("GT", "GP", "DS")
BITS = (8, 16)

_HEADER_SIZE = 20
_ZLIB = 1
_LAYOUT_2 = 2 << 2
_SAMPLE_IDS = 1 << 31
_MAX_STRING = 0xFFFF
_MAX_DATA = 0xFFFFFFFF


def layout(subject: Subject) -> Layout:
    """Layout of the `.bgen`.

    Options: `bgen_field` (one of `FIELDS`), `bits` (one of `BITS`), `unphased`,
    `haploid_as_diploid`, `no_header_samples`, `varid` (the variant ID goes to the varid).

    Raises
    ------
    BiofuseError
        If the store's ploidy is above 2, it lacks the field, or something is beyond the
        format's limits.
    """
    options = subject.options
    if subject.ploidy > 2:
        raise BiofuseError(
            f"the store's genotypes have room for {subject.ploidy} alleles a call; "
            "BGEN files are made of haploid and diploid calls only"
        )
    name = options.get("bgen_field", "GT")
    fields = [GENOTYPES]
    if name != "GT":
        _check_field(f"call_{name}", name, subject)
        fields.append(f"call_{name}")
    else:
        subject.need_genotypes()
        if PHASED in subject.shapes and not options.get("unphased"):
            fields.append(PHASED)
    params = {
        "field": name,
        "bits": options.get("bits", 8),
        "haploid_as_diploid": bool(options.get("haploid_as_diploid")),
    }
    num_samples = len(subject.samples)
    record_size = 0
    if num_samples <= _MAX_DATA:
        record_size = record_encoder(params, None, None).data_size(num_samples, subject.ploidy)
    if num_samples > _MAX_DATA or record_size > _MAX_DATA:
        raise BiofuseError(f"{num_samples} samples are more than a BGEN file can hold")
    samples = None if options.get("no_header_samples") else _sample_block(subject.samples)
    id_in_varid = bool(options.get("varid"))
    return Layout(
        header=lambda count: _header(count, num_samples, samples),
        record_size=record_size,
        heads=lambda variants: _heads(variants, id_in_varid),
        fields=tuple(fields),
        params=params,
    )


def _check_field(path: str, name: str, subject: Subject) -> None:
    shape = subject.shapes.get(path)
    if shape is None:
        has = [f for f in FIELDS if f"call_{f}" in subject.shapes]
        raise BiofuseError(
            f"the store has no {path}, which --bgen-field {name} needs"
            + (f"; it has {', '.join(f'call_{f}' for f in has)}" if has else "")
        )
    values = shape[2] if len(shape) == 3 else 1
    # Two probabilities are enough for haploid calls, which those of a diploid store may be.
    least = 2 if name == "GP" else 1
    if len(shape) not in (2, 3) or values < least:
        raise BiofuseError(f"{path} is of shape {shape}, not (variants, samples, {least} or more)")


def _header(num_variants: int, num_samples: int, samples: bytes | None) -> bytes:
    """The first four bytes, the header block and the sample identifier block."""
    flags = _ZLIB | _LAYOUT_2 | (_SAMPLE_IDS if samples is not None else 0)
    block = struct.pack("<III4sI", _HEADER_SIZE, num_variants, num_samples, b"bgen", flags)
    block += samples or b""
    return struct.pack("<I", len(block)) + block


def _sample_block(samples: Sequence[str]) -> bytes:
    encoded = [sample.encode() for sample in samples]
    longest = max(encoded, key=len, default=b"")
    if len(longest) > _MAX_STRING:
        raise BiofuseError(
            f"sample ID {longest[:20].decode(errors='ignore')}... is of {len(longest)} bytes; "
            f"BGEN holds up to {_MAX_STRING}"
        )
    sizes = {size: struct.pack("<H", size) for size in set(map(len, encoded))}
    body = b"".join(part for sample in encoded for part in (sizes[len(sample)], sample))
    return struct.pack("<II", 8 + len(body), len(samples)) + body


def _heads(variants: Variants, id_in_varid: bool) -> tuple[bytearray, array]:
    """What precedes genotype data: strings, position and alleles; `.` for what is missing."""
    from biofuse import native

    _check_limits(variants)
    ids = [i or "." for i in variants.id]
    other = ["."] * len(ids)
    return native.bgen_heads(
        ids if id_in_varid else other,
        other if id_in_varid else ids,
        variants.chrom,
        array("I", variants.position),
        variants.ref,
        [alt or "." for alt in variants.alt],
    )


def _check_limits(variants: Variants) -> None:
    """Raise `BiofuseError` if a variant's names or position don't fit a file."""
    for what, column in (("an ID", variants.id), ("a chromosome name", variants.chrom)):
        # Characters are four bytes at most.
        if max(map(len, column), default=0) <= _MAX_STRING // 4:
            continue
        for i, text in enumerate(column):
            size = len(text.encode())
            if size > _MAX_STRING:
                raise BiofuseError(
                    f"the variant {variants.chrom[i][:40]}:{variants.position[i]} has {what} of "
                    f"{size} bytes, and BGEN holds up to {_MAX_STRING}"
                )
    lowest = min(variants.position, default=0)
    if lowest < 0:
        chrom = variants.chrom[variants.position.index(lowest)]
        raise BiofuseError(
            f"the variant {chrom[:40]}:{lowest} has a position below 0, which BGEN cannot hold"
        )


def record_encoder(params: dict[str, Any], offsets, heads):
    """The kernel that makes variant data blocks."""
    from biofuse import native

    return native.BgenEncoder(
        params["field"], params["bits"], params["haploid_as_diploid"], offsets, heads
    )


def sidecars(options: dict[str, Any]) -> list[Sidecar]:
    """Writers of the `.bgen.bgi` and `.sample`, unless `no_bgi`, `no_sample_file`.

    With `sample_of_0_1_0` the `.sample` is that of biofuse 0.1.0.
    """
    writers: list[Sidecar] = []
    if not options.get("no_bgi"):
        writers.append(BgiWriter(rsid_known=not options.get("varid")))
    if not options.get("no_sample_file"):
        if options.get("sample_of_0_1_0"):
            writers.append(
                SampleText(
                    ".sample",
                    "ID_1 ID_2 missing\n0 0 0\n",
                    "{sample} {sample} 0\n",
                    "--no-sample-file",
                )
            )
        else:
            writers.append(
                SampleText(
                    ".sample",
                    "ID_1 ID_2 missing sex\n0 0 0 D\n",
                    "{sample} {sample} 0 NA\n",
                    "--no-sample-file",
                )
            )
    return writers
