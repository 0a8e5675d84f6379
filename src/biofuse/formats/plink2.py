"""PLINK 2 binary files: `.pgen`, `.pvar` and `.psam`.

Specifications: https://github.com/chrchang/plink-ng/tree/master/pgen_spec and
https://www.cog-genomics.org/plink/2.0/formats. All records of a `.pgen` are of one size: hard
calls are storage mode 0x02, as `plink2 --make-pgen format=2` writes it. Dosages are mode 0x10, as
plink2 stores them but for zeros that fill up a record, since programs crash on mode 0x03.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from biofuse.errors import BiofuseError
from biofuse.formats.base import (
    GENOTYPES,
    File,
    Findings,
    Layout,
    SampleTable,
    Sidecar,
    Subject,
    option,
)
from biofuse.formats.pvar import PvarWriter
from biofuse.formats.text import SampleText

if TYPE_CHECKING:
    from biofuse import native

NAME = "plink2"
TITLE = "PLINK 2"
MULTIALLELIC = False
FILES = (
    File("pgen", ".pgen"),
    File("pvar", ".pvar", "no_pvar"),
    File("psam", ".psam", "no_psam"),
)

FIELDS = ("GT", "DS", "GP")

_MAGIC = b"\x6c\x1b"
_HARD_CALLS, _ANY_RECORDS = 0x02, 0x10
# Every REF allele is the reference's.
_KNOWN_REF = 0x40
# Types of records are of a byte, which is one less than what is added to the bytes that the
# length of a record takes.
_BYTE_TYPES = 4
# Whose dosages there are, and these.
_DOSAGES = b"\x60"
_BLOCK = 1 << 16
_MAX_SAMPLES = 2**31 - 2


@dataclass(frozen=True)
class Options:
    """Options of the PLINK 2 files.

    Attributes
    ----------
    dosage : str
        What the `.pgen` shows: hard calls (GT), or dosages of call_DS or call_GP.
    no_pvar, no_psam : bool
    no_pvar_info : bool or None
        Whether QUAL, FILTER and INFO are left out, and the header's lines; None, as False, has
        them.
    """

    dosage: str = option(
        "GT", "What the .pgen has: calls, or dosages from DS or GP beside them.", choices=FIELDS
    )
    no_pvar_info: bool | None = option(
        None, "Leave QUAL, FILTER and INFO out of the .pvar.", off="pvar-info"
    )
    no_pvar: bool = option(False, "Leave out the .pvar file.")
    no_psam: bool = option(False, "Leave out the .psam file.")


def needs_sites(options: Options) -> bool:
    """Whether the `.pvar` has QUAL, FILTER and INFO."""
    return not (options.no_pvar or options.no_pvar_info)


def layout(subject: Subject, options: Options) -> Layout:
    """Layout of the `.pgen`.

    Raises
    ------
    BiofuseError
        If the store's ploidy is above 2, it lacks the field, or there are too many samples.
    """
    if subject.ploidy > 2:
        raise BiofuseError(
            f"the store's genotypes have room for {subject.ploidy} alleles a call; "
            "PLINK 2 files are made of haploid and diploid calls only"
        )
    num_samples = len(subject.samples)
    if num_samples > _MAX_SAMPLES:
        raise BiofuseError(f"{num_samples} samples are more than a .pgen can hold")
    name = options.dosage
    params = {"field": name, "calls": GENOTYPES in subject.shapes}
    size = record_encoder(params, None, None).record_size(num_samples)
    if name == "GT":
        subject.need_genotypes()
        return Layout(lambda count: _hard_header(count, num_samples), size, params=params)
    subject.need_values(name, "--dosage")
    return Layout(
        lambda count: _dosage_header(count, num_samples, size),
        size,
        fields=(GENOTYPES, f"call_{name}"),
        params=params,
    )


def _hard_header(num_variants: int, num_samples: int) -> bytes:
    counts = struct.pack("<II", num_variants, num_samples)
    return _MAGIC + bytes([_HARD_CALLS]) + counts + bytes([_KNOWN_REF])


def _dosage_header(num_variants: int, num_samples: int, record_size: int) -> bytes:
    """With where each block of records begins, and the type and length of every record."""
    width = (record_size.bit_length() + 7) // 8
    control = _KNOWN_REF | (_BYTE_TYPES - 1 + width)
    counts = struct.pack("<II", num_variants, num_samples)
    start = _MAGIC + bytes([_ANY_RECORDS]) + counts + bytes([control])
    blocks = range(0, num_variants, _BLOCK)
    sizes = [min(_BLOCK, num_variants - first) for first in blocks]
    first_record = len(start) + 8 * len(sizes) + num_variants * (1 + width)
    offsets = struct.pack(
        f"<{len(sizes)}Q", *(first_record + first * record_size for first in blocks)
    )

    def tables() -> Iterator[bytes]:
        length = record_size.to_bytes(width, "little")
        for size in sizes:
            yield _DOSAGES * size
            yield length * size

    return b"".join((start, offsets, *tables()))


def record_encoder(
    params: dict[str, Any], offsets: memoryview | None, heads: memoryview | None
) -> "native.Plink2Encoder":
    """The kernel that makes `.pgen` records."""
    from biofuse import native

    return native.Plink2Encoder(params["field"], params["calls"])


def sidecars(options: Options) -> list[Sidecar]:
    """Writers of the `.pvar` and `.psam`, but for those that `no_pvar`, `no_psam` leave out."""
    writers: list[Sidecar] = []
    if not options.no_pvar:
        writers.append(PvarWriter(annotated=not options.no_pvar_info))
    if not options.no_psam:
        writers.append(SampleText(".psam", "\t", _psam, "--no-psam"))
    return writers


def _psam(ids: "native.Texts", table: SampleTable) -> "tuple[str, Sequence[native.Texts]]":
    """Columns of the `.psam`; those of parents are there if any is known, as plink2 has it."""
    columns = {"#FID": table.fid.or_else("0"), "IID": ids}
    if table.pat.nbytes or table.mat.nbytes:
        columns |= {"PAT": table.pat.or_else("0"), "MAT": table.mat.or_else("0")}
    columns["SEX"] = table.sex.or_else("NA")
    for each in table.phenotypes:
        missing = "NONE" if each.kind == "categorical" else "NA"
        columns[each.name] = each.values.or_else(missing)
    return "\t".join(columns) + "\n", list(columns.values())


def notices(options: Options, findings: Findings) -> list[str]:
    """That the phase of calls is not in the `.pgen`."""
    if not findings.phased_calls():
        return []
    return [
        "the store has phased calls, and the .pgen shows them as unphased: records of one size "
        "have no room for phase"
    ]
