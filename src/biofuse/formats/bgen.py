"""BGEN files: `.bgen`, `.bgen.bgi` and `.sample`.

Specification: https://www.chg.ox.ac.uk/~gav/bgen_format/spec/v1.2.html, layout 2, zlib
with stored blocks. The first allele is REF. All genotype data of a file are of one
size, so that offsets follow from strings.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from biofuse.errors import BiofuseError
from biofuse.formats.base import (
    GENOTYPES,
    PHASED,
    File,
    Findings,
    Heads,
    Layout,
    Phase,
    SampleTable,
    Sidecar,
    Subject,
    Variants,
    option,
)
from biofuse.formats.bgi import BgiWriter
from biofuse.formats.positions import check_positions
from biofuse.formats.text import SampleText

if TYPE_CHECKING:
    from biofuse.native import Texts

NAME = "bgen"
TITLE = "BGEN"
MULTIALLELIC = False
FILES = (
    File("bgen", ".bgen"),
    File("bgi", ".bgen.bgi", "no_bgi"),
    File("sample", ".sample", "no_sample_file"),
)

FIELDS = ("GT", "GP", "DS")
BITS = (8, 16)

_UNSURE = " (not all were looked at)"

# What the second line of a `.sample` says of a phenotype.
_TYPES = {"binary": "B", "quantitative": "P", "categorical": "D"}

_HEADER_SIZE = 20
_ZLIB = 1
_LAYOUT_2 = 2 << 2
_SAMPLE_IDS = 1 << 31
_MAX_STRING = 0xFFFF
_MAX_DATA = 0xFFFFFFFF
_MAX_POSITION = 0xFFFFFFFF


@dataclass(frozen=True)
class Options:
    """Options of the BGEN files.

    Attributes
    ----------
    phased : bool or None
        Whether variants of which all calls are phased are shown so. None, as False, shows
        none: files in which some variants are phased make programs fail, or REGENIE give
        wrong numbers.
    haploid_as_diploid : bool or None
        Whether haploid calls are shown as homozygous diploid ones. None, as False, keeps them.
    no_bgi, no_sample_file, no_header_samples : bool
    bgen_field : str
        What probabilities are made from.
    bits : int
        Of a probability.
    id_in_varid : bool
        Whether variant IDs go to the varid, not the rsid.
    three_columns : bool
        Whether the `.sample` has no column for the sex where no sex is known.
    no_phenotypes : bool
        Whether the `.sample` has none of a table's phenotypes: SAIGE takes four columns only.
    """

    phased: bool | None = option(
        None,
        "Show variants as phased where the store does; not for REGENIE and SAIGE.",
        off="unphased",
    )
    haploid_as_diploid: bool | None = option(
        None,
        "Show haploid calls as homozygous diploid ones: REGENIE wants it.",
        off="keep-haploid",
    )
    bgen_field: str = option(
        "GT", "What probabilities are made from: calls, probabilities or dosages.", choices=FIELDS
    )
    bits: int = option(8, "Bits a probability.", choices=BITS)
    no_bgi: bool = option(False, "Leave out the .bgen.bgi index.")
    no_sample_file: bool = option(False, "Leave out the .sample file.")
    no_header_samples: bool = option(False, "Leave sample IDs out of the .bgen.")
    id_in_varid: bool = option(False)
    three_columns: bool = option(False)
    no_phenotypes: bool = option(False)


def needs_sites(options: Options) -> bool:
    """Whether files are made from all fields of sites: never."""
    return False


def layout(subject: Subject, options: Options) -> Layout:
    """Layout of the `.bgen`.

    Raises
    ------
    BiofuseError
        If the store's ploidy is above 2, it lacks the field, or something is beyond the
        format's limits.
    """
    if subject.ploidy > 2:
        raise BiofuseError(
            f"the store's genotypes have room for {subject.ploidy} alleles a call; "
            "BGEN files are made of haploid and diploid calls only"
        )
    name = options.bgen_field
    fields = [GENOTYPES]
    if name != "GT":
        subject.need_values(name, "--bgen-field")
        fields.append(f"call_{name}")
    else:
        subject.need_genotypes()
        if PHASED in subject.shapes and options.phased:
            fields.append(PHASED)
    params = {
        "field": name,
        "bits": options.bits,
        "haploid_as_diploid": bool(options.haploid_as_diploid),
    }
    num_samples = len(subject.samples)
    record_size = 0
    if num_samples <= _MAX_DATA:
        record_size = record_encoder(params, None, None).data_size(num_samples, subject.ploidy)
    if num_samples > _MAX_DATA or record_size > _MAX_DATA:
        raise BiofuseError(f"{num_samples} samples are more than a BGEN file can hold")
    samples = None if options.no_header_samples else _sample_block(subject.samples)
    return Layout(
        header=lambda count: _header(count, num_samples, samples),
        record_size=record_size,
        heads=lambda variants: _heads(variants, options.id_in_varid),
        fields=tuple(fields),
        params=params,
    )


def _header(num_variants: int, num_samples: int, samples: bytes | None) -> bytes:
    """The first four bytes, the header block and the sample identifier block."""
    flags = _ZLIB | _LAYOUT_2 | (_SAMPLE_IDS if samples is not None else 0)
    block = struct.pack("<III4sI", _HEADER_SIZE, num_variants, num_samples, b"bgen", flags)
    block += samples or b""
    return struct.pack("<I", len(block)) + block


def _sample_block(samples: Sequence[str]) -> bytes:
    from biofuse import native

    column = native.Texts.of(samples)
    if column.longest() > _MAX_STRING:
        longest = max((sample.encode() for sample in samples), key=len)
        raise BiofuseError(
            f"sample ID {longest[:20].decode(errors='ignore')}... is of {len(longest)} bytes; "
            f"BGEN holds up to {_MAX_STRING}"
        )
    body = native.bgen_samples(column)
    return struct.pack("<II", 8 + len(body), len(samples)) + body


def _heads(variants: Variants, id_in_varid: bool) -> Heads:
    """What precedes genotype data: strings, position and alleles; `.` for what is missing."""
    from biofuse import native

    _check_limits(variants)
    ids = variants.id.or_else(".")
    other = variants.id.blank().or_else(".")
    heads = native.bgen_heads(
        ids if id_in_varid else other,
        other if id_in_varid else ids,
        variants.chrom,
        variants.position,
        variants.ref,
        variants.alt.or_else("."),
    )
    return Heads(*heads)


def _check_limits(variants: Variants) -> None:
    """Raise `BiofuseError` if a variant's names or position don't fit a file."""
    for what, column in (("an ID", variants.id), ("a chromosome name", variants.chrom)):
        if column.longest() <= _MAX_STRING:
            continue
        for i, text in enumerate(column):
            size = len(text.encode())
            if size > _MAX_STRING:
                raise BiofuseError(
                    f"the variant {variants.chrom[i][:40]}:{variants.position[i]} has {what} of "
                    f"{size} bytes, and BGEN holds up to {_MAX_STRING}"
                )
    check_positions(variants, _MAX_POSITION, "which BGEN cannot hold")


def record_encoder(params: dict[str, Any], offsets, heads):
    """The kernel that makes variant data blocks."""
    from biofuse import native

    return native.BgenEncoder(
        params["field"], params["bits"], params["haploid_as_diploid"], offsets, heads
    )


def sidecars(options: Options) -> list[Sidecar]:
    """Writers of the `.bgen.bgi` and `.sample`, unless `no_bgi`, `no_sample_file`."""
    writers: list[Sidecar] = []
    if not options.no_bgi:
        writers.append(BgiWriter(rsid_known=not options.id_in_varid))
    if not options.no_sample_file:
        columns = partial(_sample, options=options)
        writers.append(SampleText(".sample", " ", columns, "--no-sample-file"))
    return writers


def _sample(ids: "Texts", table: SampleTable, options: Options) -> "tuple[str, Sequence[Texts]]":
    """Columns of the `.sample`, with the types of phenotypes that plink2 writes."""
    names, types = ["ID_1", "ID_2", "missing"], ["0", "0", "0"]
    columns = [table.fid.or_else("0"), ids, ids.blank().or_else("0")]
    if table.sex.nbytes or not options.three_columns:
        names.append("sex")
        types.append("D")
        columns.append(table.sex.or_else("NA"))
    for each in [] if options.no_phenotypes else table.phenotypes:
        names.append(each.name)
        types.append(_TYPES[each.kind])
        columns.append(each.codes.or_else("NA"))
    return f"{' '.join(names)}\n{' '.join(types)}\n", columns


def notices(options: Options, findings: Findings) -> list[str]:
    """What makes programs refuse the `.bgen`, or read it wrong: phase and haploid calls."""
    found = []
    if options.bgen_field == "GT" and options.phased is not False:
        phase = findings.phase()
        if options.phased and phase is not Phase.NO:
            has, unsure = ("has", "") if phase is Phase.YES else ("may have", _UNSURE)
            found.append(
                f"the .bgen {has} phased variants{unsure}, which REGENIE and SAIGE do not take "
                "(BOLT-LMM 2.4 does); REGENIE looks at the first one only, and where others "
                "differ its numbers are wrong: give --unphased for those"
            )
        elif phase is Phase.YES and findings.phased_calls():
            found.append(
                "the store has phased variants, and the .bgen shows them as unphased, as REGENIE "
                "and SAIGE want it: --phased shows their phase, --unphased ends this notice"
            )
    if not options.haploid_as_diploid and findings.haploid():
        found.append(
            "the .bgen has haploid calls, which REGENIE, SAIGE and BOLT-LMM do not take: give "
            "--haploid-as-diploid for those"
        )
    return found
